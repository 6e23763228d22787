-- The latest offset of each key, in the topics whose retries use the key offset tracker. A failed message that is not
-- its key's latest in its partition is superseded.
CREATE TABLE django_kafka_key_offset_tracker (
    topic TEXT NOT NULL,
    key BLOB NOT NULL,
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    -- The message's own time, UTC: one of the two, as the topic's `message.timestamp.type` says.
    create_time TIMESTAMP,
    log_append_time TIMESTAMP,
    PRIMARY KEY (topic, key)
) WITHOUT ROWID;
