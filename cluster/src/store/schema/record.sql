CREATE TABLE IF NOT EXISTS {prefix}migration (
    origin VARBINARY(16) NOT NULL,
    version INTEGER NOT NULL,
    statement INTEGER NOT NULL,
    name VARBINARY(255) NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (origin, version, statement)
)
