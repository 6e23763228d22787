CREATE TABLE customers (id BIGINT PRIMARY KEY, name TEXT NOT NULL, uid TEXT UNIQUE);
CREATE TABLE orders (
    id BIGINT PRIMARY KEY,
    customer_id BIGINT REFERENCES customers,
    total BIGINT NOT NULL CHECK (total < 1000),
    note TEXT DEFAULT 'none'
);
CREATE TABLE lines (id BIGINT PRIMARY KEY, order_id BIGINT NOT NULL REFERENCES orders, buyer TEXT REFERENCES customers (uid));
CREATE TABLE categories (id BIGINT PRIMARY KEY, parent_id BIGINT REFERENCES categories, name TEXT);
