CREATE TABLE {prefix}topology (
    id INTEGER NOT NULL,
    content LONGBLOB NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE {prefix}view (
    id INTEGER NOT NULL,
    version BIGINT NOT NULL,
    content LONGBLOB NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE {prefix}lease (
    node VARBINARY(255) NOT NULL,
    generation BIGINT NOT NULL,
    acknowledged_version BIGINT NOT NULL,
    beat BIGINT NOT NULL,
    PRIMARY KEY (node)
);
CREATE TABLE {prefix}generation (
    node VARBINARY(255) NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (node)
);
