use django_kafka_rs::prelude::*;

#[topic(name = "orders0", retry(max_retries = 5, include(std::io::Error), exclude(std::fmt::Error)))]
struct Orders0;

fn main() {}
