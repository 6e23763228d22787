use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, kafka_skip -> Bool, } }

#[derive(KafkaConnectSkip)]
struct Customer {
    id: i64,
    name: String,
    kafka_skip: KafkaSkip,
}

fn marks<M: KafkaConnectSkip>(_: &M) {}

fn main() {
    marks(&"text");
    let mut customer = Customer { id: 1, name: String::new(), kafka_skip: KafkaSkip::default() };
    let _ = customer.save(&mut "no connection");
}
