DROP INDEX django_kafka_waiting_message_deletion;
CREATE INDEX django_kafka_waiting_message_deletion ON django_kafka_waiting_message (id) WHERE deletion;
ALTER TABLE django_kafka_waiting_message DROP CONSTRAINT django_kafka_waiting_message_once;
ALTER TABLE django_kafka_waiting_message
    ADD CONSTRAINT django_kafka_waiting_message_consumer_group_topic_partition_key
    UNIQUE (consumer_group, topic, partition, "offset");
DROP INDEX django_kafka_waiting_message_claim;
