CREATE TABLE {prefix}product_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    category VARBINARY(64) NULL,
    archived BIGINT NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX product_state_wake ON {prefix}product_state (wake_at);
CREATE INDEX product_state_category ON {prefix}product_state (category, archived, entity);
CREATE INDEX product_state_archived ON {prefix}product_state (archived, entity);
