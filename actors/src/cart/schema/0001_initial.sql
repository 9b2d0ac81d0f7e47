CREATE TABLE {prefix}cart_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX cart_state_wake ON {prefix}cart_state (wake_at);
