CREATE TABLE shelves (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    code TEXT UNIQUE,
    qty INTEGER CHECK (qty <> 13),
    total TEXT,
    due DATE,
    seen TIMESTAMP,
    shelf_id INTEGER REFERENCES shelves (id)
);
CREATE TABLE stickers (
    id INTEGER PRIMARY KEY,
    item_id INTEGER NOT NULL REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO shelves (id, name) VALUES (1, 'top');
