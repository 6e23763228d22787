DROP TABLE notes;
DROP TABLE orders;
DROP TABLE customers;
