use django_kafka_rs::prelude::*;

#[topic(name = "orders0", retry(max_retries = 5, log_every = 0))]
struct Orders0;

fn main() {}
