CREATE TABLE {prefix}heartbeat (
    node VARBINARY(255) NOT NULL,
    beat BIGINT NOT NULL,
    written_at BIGINT NOT NULL,
    PRIMARY KEY (node)
);
