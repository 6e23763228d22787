DROP TABLE changes;
DROP TABLE members;
DROP TABLE users;
