use django_kafka_rs::prelude::*;

#[topic(name = "orders0", retry(max_retries = 5, include(std::io::Error, std::io::Error)))]
struct Orders0;

fn main() {}
