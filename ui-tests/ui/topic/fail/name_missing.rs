use django_kafka_rs::prelude::*;

#[topic(key = String)]
struct Orders;

#[topic]
struct Customers;

fn main() {}
