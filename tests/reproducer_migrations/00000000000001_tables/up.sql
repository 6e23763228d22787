CREATE TABLE purchases (id BIGINT PRIMARY KEY, item TEXT NOT NULL, price BIGINT NOT NULL);
CREATE TABLE stocks (shop TEXT NOT NULL, day DATE NOT NULL, pieces BIGINT NOT NULL, PRIMARY KEY (shop, day));
INSERT INTO purchases VALUES (1, 'bowl', 10), (2, 'net', 20), (3, 'sand', 30);
INSERT INTO stocks VALUES ('north', '1971-01-01', 7);
