use django_kafka_rs::prelude::*;

#[topic(name = "orders0", retry(max_retries = 5, delay = "2m", max_delay = "1m"))]
struct Orders0;

fn main() {}
