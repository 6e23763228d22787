use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, } }

#[derive(SyncModel)]
struct Customer {
    id: i64,
    #[sync(from = "")]
    name: String,
}

fn main() {}
