use django_kafka_rs::prelude::*;

fn is_transient(error: &str) -> bool {
    error.is_empty()
}

#[topic(name = "orders0", retry(max_retries = 5, include_if = is_transient))]
struct Orders0;

#[topic(name = "orders1", retry(max_retries = 5, include_if = "is_transient"))]
struct Orders1;

fn main() {}
