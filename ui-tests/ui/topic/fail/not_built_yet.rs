use django_kafka_rs::prelude::*;

#[topic(name = "orders", format = avro)]
struct Orders;

#[topic(name = "customers", key_schema = "key.avsc", value_schema = "value.avsc")]
struct Customers;

fn main() {}
