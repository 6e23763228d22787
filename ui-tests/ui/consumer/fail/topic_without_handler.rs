use django_kafka_rs::prelude::*;

#[topic(name = "silent")]
struct Silent;

#[consumer(group = "crm", topics(Silent))]
struct Crm0;

fn main() {}
