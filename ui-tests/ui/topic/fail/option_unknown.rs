use django_kafka_rs::prelude::*;

#[topic(nmae = "orders", colour = "red")]
struct Orders;

fn main() {}
