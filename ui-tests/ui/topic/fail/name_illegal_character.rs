use django_kafka_rs::prelude::*;

#[topic(name = "new orders")]
struct Spaced;

#[topic(name = "orders.*")]
struct Glob;

#[topic(name = "$prefix.orders")]
struct Shell;

#[topic(name = "bücher")]
struct Umlaut;

fn main() {}
