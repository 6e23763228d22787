-- The ordering guard: a row for each key of which a message failed and left for a retry or dead letter topic, by where
-- the message was first read. `state` (JSON) says which columns were written by which offset since; `offset` is the
-- highest one in it. Rows go after `purge_after`; without it a dead letter of the key may be replayed.
CREATE TABLE django_kafka_key_version (
    "group" TEXT NOT NULL,
    topic TEXT NOT NULL,
    "partition" INTEGER NOT NULL,
    key BLOB NOT NULL,
    "offset" BIGINT NOT NULL,
    state TEXT NOT NULL,
    purge_after TIMESTAMP,
    PRIMARY KEY ("group", topic, "partition", key)
) WITHOUT ROWID;
