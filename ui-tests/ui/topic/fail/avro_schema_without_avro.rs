use django_kafka_rs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Order {
    id: i64,
}

#[topic(name = "orders", key = i64, value = Order, key_schema = "../schemas/key.avsc", value_schema = "../schemas/order.avsc")]
struct Orders;

fn main() {}
