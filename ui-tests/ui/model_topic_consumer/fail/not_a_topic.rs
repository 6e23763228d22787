use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(ModelTopicConsumer)]
struct Customer {
    id: i64,
}

fn main() {}
