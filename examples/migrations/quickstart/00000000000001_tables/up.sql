CREATE TABLE customers (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT CHECK (email LIKE '%@%'),
    active BOOLEAN NOT NULL,
    balance TEXT,
    born DATE,
    seen TIMESTAMP,
    made TIMESTAMP,
    opens TIME,
    uid TEXT,
    meta JSON,
    raw BLOB,
    big TEXT
);

CREATE TABLE orders (
    id BIGINT PRIMARY KEY,
    customer_id BIGINT NOT NULL REFERENCES customers (id),
    total DOUBLE NOT NULL
);
