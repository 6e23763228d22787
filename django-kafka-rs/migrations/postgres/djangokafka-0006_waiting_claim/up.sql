-- A claim is renewed and given back by its token, however many messages wait.
CREATE INDEX django_kafka_waiting_message_claim
    ON django_kafka_waiting_message (claim_token) WHERE claim_token IS NOT NULL;

-- That a message waits once. The columns which tell most come first: where the table has just grown, and nothing is known
-- yet of what it holds, an index that began with the group and the topic would be taken for the one of chains.
ALTER TABLE django_kafka_waiting_message
    DROP CONSTRAINT django_kafka_waiting_message_consumer_group_topic_partition_key;
ALTER TABLE django_kafka_waiting_message
    ADD CONSTRAINT django_kafka_waiting_message_once UNIQUE ("offset", partition, topic, consumer_group);
-- Deletions are few, which without statistics only an equality says.
DROP INDEX django_kafka_waiting_message_deletion;
CREATE INDEX django_kafka_waiting_message_deletion ON django_kafka_waiting_message ((deletion::integer), id) WHERE deletion;
