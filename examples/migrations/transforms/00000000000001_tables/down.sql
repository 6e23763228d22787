DROP TABLE changes;
DROP TABLE people;
