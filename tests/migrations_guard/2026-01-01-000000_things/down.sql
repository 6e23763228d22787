DROP TABLE things;
DROP TABLE shelves;
