CREATE TABLE {prefix}publication (
    shard INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    published BIGINT NOT NULL,
    PRIMARY KEY (shard)
);
