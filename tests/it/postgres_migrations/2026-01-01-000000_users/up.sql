-- The captured table, as a replica: no default stands in for what a message lacks, an interval is its microseconds.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE TABLE users (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    email VARCHAR(80),
    active BOOLEAN NOT NULL,
    small SMALLINT,
    ratio DOUBLE PRECISION,
    balance NUMERIC(12, 2),
    free NUMERIC,
    born DATE,
    seen TIMESTAMPTZ,
    made TIMESTAMP,
    made_ms TIMESTAMP(3),
    opens TIME,
    gap BIGINT,
    uid UUID,
    meta JSONB,
    tags TEXT[],
    raw BYTEA,
    mood MOOD,
    big TEXT,
    later TEXT
);
