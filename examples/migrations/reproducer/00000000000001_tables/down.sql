DROP TABLE order_views;
DROP TABLE orders;
DROP TABLE customers;
