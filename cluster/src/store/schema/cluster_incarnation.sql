CREATE TABLE {prefix}incarnation (
    service VARBINARY(64) NOT NULL,
    server VARBINARY(255) NOT NULL,
    incarnation BIGINT NOT NULL,
    PRIMARY KEY (service, server)
);
