use django_kafka_rs::prelude::*;

struct NotAnError;

#[topic(name = "orders0", retry(max_retries = 5, include(std::io::Error, NotAnError)))]
struct Orders0;

fn main() {}
