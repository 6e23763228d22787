-- A claim is renewed and given back by its token, however many messages wait.
CREATE INDEX django_kafka_waiting_message_claim
    ON django_kafka_waiting_message (claim_token) WHERE claim_token IS NOT NULL;
