DROP TABLE django_kafka_settled;
DROP TABLE django_kafka_outgoing;
DROP TABLE django_kafka_offset;
