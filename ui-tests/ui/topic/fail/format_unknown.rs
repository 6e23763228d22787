use django_kafka_rs::prelude::*;

#[topic(name = "orders", format = jsn)]
struct Misspelt;

#[topic(name = "orders", value_format = "json")]
struct Quoted;

fn main() {}
