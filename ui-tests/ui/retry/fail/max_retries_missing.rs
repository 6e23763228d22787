use django_kafka_rs::prelude::*;

#[topic(name = "orders0", retry(delay = "2s", backoff))]
struct Orders0;

#[topic(name = "orders1", retry())]
struct Orders1;

fn main() {}
