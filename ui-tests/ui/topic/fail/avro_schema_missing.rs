use django_kafka_rs::prelude::*;

#[topic(name = "orders", format = avro, value_schema = "../schemas/oder.avsc")]
struct Orders;

#[topic(name = "orders", format = avro, value_schema = order)]
struct NotText;

fn main() {}
