DROP TABLE children;
DROP TABLE items;
DROP TABLE effects;
