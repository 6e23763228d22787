use django_kafka_rs::prelude::*;

#[topic(
    name = "orders",
    format = avro,
    key_schema = "../schemas/decimal_scale_too_large.avsc",
    value_schema = "../schemas/decimal_without_precision.avsc"
)]
struct Orders;

fn main() {}
