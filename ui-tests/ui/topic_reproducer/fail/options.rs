use django_kafka_rs::prelude::*;

#[topic(name = "a")]
#[derive(TopicReproducer)]
#[reproduce(modle = Order)]
struct Misspelt;

#[topic(name = "b")]
#[derive(TopicReproducer)]
#[reproduce(name = "orders", namespace = "dbz.")]
struct Dot;

#[topic(name = "c")]
#[derive(TopicReproducer)]
#[reproduce(name = "^orders.*")]
struct Pattern;

#[topic(name = "d")]
#[derive(TopicReproducer)]
#[reproduce(name = "all orders", model = "Order")]
struct Forms;

fn main() {}
