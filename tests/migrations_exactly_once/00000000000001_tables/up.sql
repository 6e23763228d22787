-- An effect that shows when it happens twice.
CREATE TABLE effects (name TEXT NOT NULL);
CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT NOT NULL, version BIGINT NOT NULL CHECK (version >= 0));
-- Checked no earlier than at the commit.
CREATE TABLE children (id BIGINT PRIMARY KEY, item BIGINT NOT NULL REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED);
