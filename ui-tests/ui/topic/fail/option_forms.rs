use django_kafka_rs::prelude::*;

#[topic("orders")]
struct Positional;

#[topic(name("orders"))]
struct Parentheses;

#[topic(name = "orders" value = String)]
struct NoComma;

#[topic(name = "orders",, value = String)]
struct TwoCommas;

#[topic(name = "orders", key = 5, value, retry = 3, register = "no")]
struct Values;

#[topic(name: "orders")]
struct Colon;

fn main() {}
