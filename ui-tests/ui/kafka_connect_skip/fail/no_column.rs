use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, } }

#[derive(KafkaConnectSkip)]
struct Customer {
    id: i64,
    name: String,
    kafka_skip: KafkaSkip,
}

fn main() {}
