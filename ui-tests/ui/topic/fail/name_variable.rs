use django_kafka_rs::prelude::*;

#[topic(name = "${prefix.orders")]
struct Unclosed;

#[topic(name = "${}.orders")]
struct Nameless;

fn main() {}
