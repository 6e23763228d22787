use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[topic(name = "customers")]
#[derive(ModelTopicConsumer)]
#[sync(envelope = full)]
struct Customer {
    id: i64,
}

fn main() {}
