use django_kafka_rs::prelude::*;


#[topic(name = "customers")]
#[derive(DbzConsumer)]
struct Customers;

fn main() {}
