CREATE TABLE {prefix}order_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    customer VARBINARY(128) NULL,
    store VARBINARY(128) NULL,
    status VARBINARY(32) NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX order_state_wake ON {prefix}order_state (wake_at);
CREATE INDEX order_state_customer ON {prefix}order_state (customer, entity);
CREATE INDEX order_state_store ON {prefix}order_state (store, status, entity);
CREATE INDEX order_state_status ON {prefix}order_state (status, entity);
