use django_kafka_rs::prelude::*;

#[connector(config(
    "connector.class" = "org.acme.Source",
    "name" = "crm",
    "tasks.max" = 0,
    " topic.prefix" = "shop",
    topic.prefix = "shop",
    "database.password" = environment("DB_PASSWORD"),
    "database.hostname" = hostname(),
    "database.port",
))]
struct CrmSource;

fn main() {}
