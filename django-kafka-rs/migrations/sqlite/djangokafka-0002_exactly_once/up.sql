-- Consumers with `offsets = "database"`: how far each partition is handled. Written in the transaction of the rows. Who
-- takes a partition over raises `epoch`; whoever had it before can commit nothing of it any more.
CREATE TABLE django_kafka_offset (
    "group" TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    -- The next one to handle.
    "offset" BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    PRIMARY KEY ("group", topic, partition)
);
-- Messages on their way to a retry or dead letter topic: written with the position behind them, deleted once the broker
-- has them.
CREATE TABLE django_kafka_outgoing (
    -- Where the failed message was read.
    "group" TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    target_topic TEXT NOT NULL,
    key BLOB,
    value BLOB,
    -- [["name", "the value in base64" or null], …]
    headers TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY ("group", topic, partition, "offset")
);
-- Messages that came through a retry topic and are done with, by where they were first read: a copy that comes later is
-- skipped. Rows go by age.
CREATE TABLE django_kafka_settled (
    "group" TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    settled_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY ("group", topic, partition, "offset")
);
CREATE INDEX django_kafka_settled_age ON django_kafka_settled (settled_at);
