DROP TABLE django_kafka_canary;
