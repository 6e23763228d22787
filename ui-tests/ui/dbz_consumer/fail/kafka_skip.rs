use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, kafka_skip -> Bool, } }
diesel::table! { orders (id) { id -> BigInt, kafka_skip -> Bool, } }
diesel::table! { parts (id) { id -> BigInt, kafka_skip -> Bool, } }

fn no(_: bool) -> KafkaSkip {
    false.into()
}

#[topic(name = "customers")]
#[derive(DbzConsumer)]
struct Customer {
    id: i64,
    #[sync(from = "skip")]
    kafka_skip: KafkaSkip,
}

#[topic(name = "orders")]
#[derive(DbzConsumer)]
struct Order {
    id: i64,
    #[sync(with = no)]
    kafka_skip: KafkaSkip,
}

#[topic(name = "parts")]
#[derive(DbzConsumer)]
#[sync(lookup(kafka_skip))]
struct Part {
    id: i64,
    kafka_skip: KafkaSkip,
}

fn main() {}
