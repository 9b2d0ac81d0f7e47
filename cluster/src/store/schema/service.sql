CREATE TABLE {prefix}journal (
    shard INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    writer VARBINARY(255) NOT NULL,
    entity VARBINARY(255) NOT NULL,
    entity_version BIGINT NOT NULL,
    previous_seq BIGINT NOT NULL,
    command_id VARBINARY(512) NOT NULL,
    type VARBINARY(128) NOT NULL,
    payload LONGBLOB NOT NULL,
    occurred_at BIGINT NOT NULL,
    traceparent VARBINARY(128) NOT NULL,
    PRIMARY KEY (shard, seq)
);
CREATE INDEX {service}_journal_entity ON {prefix}journal (shard, entity, seq);
CREATE TABLE {prefix}incarnation (
    id INTEGER NOT NULL,
    incarnation BIGINT NOT NULL,
    PRIMARY KEY (id)
);
INSERT INTO {prefix}incarnation (id, incarnation) VALUES (1, 1);
