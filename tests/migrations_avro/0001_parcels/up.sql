CREATE TABLE parcels (
    id BIGINT PRIMARY KEY NOT NULL,
    code TEXT NOT NULL,
    weight DOUBLE PRECISION,
    sent DATE,
    made TIMESTAMP,
    note TEXT NOT NULL DEFAULT 'none'
);
