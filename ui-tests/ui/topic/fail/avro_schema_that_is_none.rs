use django_kafka_rs::prelude::*;

#[topic(name = "orders", format = avro, key_schema = "../schemas/not_json.avsc", value_schema = "../schemas/not_avro.avsc")]
struct Orders;

fn main() {}
