use django_kafka_rs::prelude::*;

#[topic(name = "orders0", retry(max_retries = 60, delay = "2s", backoff))]
struct Orders0;

#[topic(name = "orders1", retry(max_retries = -1, backoff))]
struct Orders1;

fn main() {}
