DROP TABLE stickers;
DROP TABLE items;
DROP TABLE shelves;
