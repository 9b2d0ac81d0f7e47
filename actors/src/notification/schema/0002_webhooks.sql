CREATE TABLE {prefix}webhook_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    live BIGINT NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX notification_webhook_state_wake ON {prefix}webhook_state (wake_at);
CREATE INDEX notification_webhook_state_live ON {prefix}webhook_state (live, entity);

CREATE TABLE {prefix}webhook_directory_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX notification_webhook_directory_state_wake ON {prefix}webhook_directory_state (wake_at);

CREATE TABLE {prefix}webhook_intake_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX notification_webhook_intake_state_wake ON {prefix}webhook_intake_state (wake_at);
