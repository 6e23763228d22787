use django_kafka_rs::prelude::*;

#[connector]
struct Bare;

#[connector(name = "crm-source")]
struct Named;

fn main() {}
