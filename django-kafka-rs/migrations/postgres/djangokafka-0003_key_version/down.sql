DROP TABLE django_kafka_key_version;
