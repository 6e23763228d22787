use django_kafka_rs::prelude::*;

#[topic(name = "..")]
struct Orders;

fn main() {}
