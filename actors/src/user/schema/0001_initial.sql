CREATE TABLE {prefix}user_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    staff BIGINT NULL,
    store VARBINARY(128) NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX user_state_wake ON {prefix}user_state (wake_at);
CREATE INDEX user_state_staff ON {prefix}user_state (staff, entity);
CREATE INDEX user_state_store ON {prefix}user_state (store, entity);

CREATE TABLE {prefix}email_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX email_state_wake ON {prefix}email_state (wake_at);
