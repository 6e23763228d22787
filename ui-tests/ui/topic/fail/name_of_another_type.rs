use django_kafka_rs::prelude::*;

const ORDERS: u32 = 5;

#[topic(name = ORDERS)]
struct Constant;

#[topic(name = 5)]
struct Number;

fn main() {}
