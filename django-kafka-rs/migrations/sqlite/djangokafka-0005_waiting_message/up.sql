-- Messages that wait for the rows they refer to, and those of their keys that stand behind them. A chain is all that
-- waits of one (consumer_group, topic, key); `chain` is the key's hash, because keys may be too long for an index. The
-- rows of a chain carry the relation that it waits for; a follower without one has come since the chain was looked at
-- last. Times are milliseconds since 1970 of this database's clock, `due_ms` of the consumers'.
CREATE TABLE django_kafka_waiting_message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer_group TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    chain BIGINT NOT NULL,
    key BLOB,
    value BLOB,
    headers TEXT NOT NULL,
    timestamp_ms BIGINT,
    status TEXT NOT NULL CHECK (status IN ('WAITING', 'BEHIND', 'RESOLVING')),
    -- It deletes a row, and waits for the rows to go that refer to it.
    deletion BOOLEAN NOT NULL,
    -- It says the whole row: nothing of the chain before it matters any more.
    full_row BOOLEAN NOT NULL,
    relation_model_key TEXT,
    relation_id_field TEXT,
    relation_id_value TEXT,
    serialized_relation TEXT,
    attempts INTEGER NOT NULL,
    last_error TEXT,
    due_ms BIGINT NOT NULL DEFAULT 0,
    claim_token TEXT,
    claimed_until_ms BIGINT NOT NULL DEFAULT 0,
    parked_at_ms BIGINT NOT NULL,
    UNIQUE (consumer_group, topic, partition, "offset")
);
CREATE INDEX django_kafka_waiting_message_chain ON django_kafka_waiting_message (consumer_group, topic, chain, id);
CREATE INDEX django_kafka_waiting_message_relation
    ON django_kafka_waiting_message (relation_model_key, relation_id_field, relation_id_value, id);
CREATE INDEX django_kafka_waiting_message_unseen
    ON django_kafka_waiting_message (id) WHERE relation_model_key IS NULL;
CREATE INDEX django_kafka_waiting_message_deletion ON django_kafka_waiting_message (id) WHERE deletion;
CREATE INDEX django_kafka_waiting_message_failed ON django_kafka_waiting_message (due_ms) WHERE due_ms > 0;
