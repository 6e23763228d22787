use django_kafka_rs::prelude::*;

struct Protobuf;

#[topic(name = "orders", value_format = Protobuf)]
struct Orders;

fn main() {}
