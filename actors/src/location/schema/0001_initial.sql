CREATE TABLE {prefix}store_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX store_state_wake ON {prefix}store_state (wake_at);

CREATE TABLE {prefix}directory_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX directory_state_wake ON {prefix}directory_state (wake_at);

CREATE TABLE {prefix}rider_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX location_rider_state_wake ON {prefix}rider_state (wake_at);
