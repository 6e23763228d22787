CREATE TABLE notes (
    id BIGINT PRIMARY KEY,
    note TEXT
);

CREATE TABLE memos (
    id BIGINT PRIMARY KEY,
    note TEXT,
    extra INTEGER
);
