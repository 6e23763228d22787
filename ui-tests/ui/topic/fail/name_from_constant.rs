use django_kafka_rs::prelude::*;

const ORDERS: &str = "new orders";

#[topic(name = ORDERS)]
struct Orders;

fn main() {}
