use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, kafka_skip -> Bool, } }
diesel::table! { orders (id) { id -> BigInt, kafka_skip -> Bool, } }
diesel::table! { parts (id) { id -> BigInt, kafka_skip -> Text, } }

#[derive(KafkaConnectSkip)]
struct Customer {
    id: i64,
    kafka_skip: bool,
}

#[derive(KafkaConnectSkip)]
struct Order {
    id: i64,
    kafka_skip: Option<bool>,
}

#[derive(KafkaConnectSkip)]
struct Part {
    id: i64,
    kafka_skip: KafkaSkip,
}

fn main() {}
