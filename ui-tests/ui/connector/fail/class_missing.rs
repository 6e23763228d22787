use django_kafka_rs::prelude::*;

#[connector(config("topic.prefix" = "shop"))]
struct NoClass;

#[connector(config("conector.class" = "org.acme.Source"))]
struct Misspelt;

#[connector(config("connector.class" = ""))]
struct Empty;

#[connector(config("connector.class" = 5))]
struct Number;

#[connector(config())]
struct Nothing;

fn main() {}
