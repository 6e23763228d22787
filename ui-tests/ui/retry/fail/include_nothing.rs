use django_kafka_rs::prelude::*;

#[topic(name = "orders0", retry(max_retries = 5, include()))]
struct Orders0;

#[topic(name = "orders1", retry(max_retries = 5, exclude = std::io::Error))]
struct Orders1;

#[topic(name = "orders2", retry(max_retries = 5, include("io")))]
struct Orders2;

fn main() {}
