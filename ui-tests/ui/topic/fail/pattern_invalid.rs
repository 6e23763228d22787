use django_kafka_rs::prelude::*;

#[topic(name = "^orders(")]
struct Unclosed;

#[topic(name = "^orders[9-0]")]
struct Range;

#[topic(name = "^")]
struct Everything;

fn main() {}
