use django_kafka_rs::prelude::*;

#[topic(
    name = "orders",
    value = String,
    name = "customers",
)]
struct Orders;

fn main() {}
