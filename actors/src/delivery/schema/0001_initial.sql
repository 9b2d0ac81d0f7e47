CREATE TABLE {prefix}delivery_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    store VARBINARY(128) NULL,
    stage VARBINARY(32) NULL,
    rider VARBINARY(128) NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX delivery_state_wake ON {prefix}delivery_state (wake_at);
CREATE INDEX delivery_state_store ON {prefix}delivery_state (store, stage, entity);
CREATE INDEX delivery_state_rider ON {prefix}delivery_state (rider, entity);

CREATE TABLE {prefix}roster_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX roster_state_wake ON {prefix}roster_state (wake_at);

CREATE TABLE {prefix}rider_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    store VARBINARY(128) NULL,
    presence VARBINARY(16) NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX rider_state_wake ON {prefix}rider_state (wake_at);
CREATE INDEX rider_state_store ON {prefix}rider_state (store, presence, entity);
