use django_kafka_rs::prelude::*;

#[topic(name = "orders", max_retries = 5, delay = "2s", group = "crm")]
struct Orders;

fn main() {}
