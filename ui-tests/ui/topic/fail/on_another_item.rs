use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
enum Orders {}

#[topic(name = "orders")]
struct Generic<T>(T);

#[topic(name = "orders")]
fn orders() {}

fn main() {}
