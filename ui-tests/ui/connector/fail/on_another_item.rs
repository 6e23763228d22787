use django_kafka_rs::prelude::*;

#[connector(config("connector.class" = "org.acme.Source"))]
fn crm() {}

#[connector(config("connector.class" = "org.acme.Source"))]
struct Fields {
    class: String,
}

#[connector(config("connector.class" = "org.acme.Source"))]
struct Parameters<T>(T);

fn main() {}
