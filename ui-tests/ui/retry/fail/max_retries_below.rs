use django_kafka_rs::prelude::*;

#[topic(name = "orders0", retry(max_retries = -2))]
struct Orders0;

#[topic(name = "orders1", retry(max_retries = 3000000000))]
struct Orders1;

fn main() {}
