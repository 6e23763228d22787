use django_kafka_rs::prelude::*;

#[connector(config(
    "connector.class" = "org.acme.Source",
    "topic.prefix" = "shop",
    "tasks.max" = 1,
    "topic.prefix" = env("PREFIX"),
))]
struct CrmSource;

fn main() {}
