use django_kafka_rs::prelude::*;

#[connector(confg("connector.class" = "org.acme.Source"))]
struct Misspelt;

#[connector(config("connector.class" = "org.acme.Source"), topics(Order))]
struct OfAnother;

#[connector(config("connector.class" = "org.acme.Source"), mark_for_remove, name = "a", name = "b")]
struct Several;

#[connector("org.acme.Source")]
struct Value;

fn main() {}
