use django_kafka_rs::prelude::*;

#[topic(name = "orders0", retry(max_retries = -1, blocking = false))]
struct Orders0;

fn main() {}
