DROP TABLE categories; DROP TABLE lines; DROP TABLE orders; DROP TABLE customers;
