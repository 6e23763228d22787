-- Written to and rolled back after an error that names neither the row nor the database as its cause: whether the
-- database still takes writes tells the two apart. It stays empty.
CREATE TABLE django_kafka_canary (id INTEGER PRIMARY KEY);
