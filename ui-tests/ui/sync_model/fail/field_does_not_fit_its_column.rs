use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
struct Customer {
    id: String,
    name: Option<String>,
    email: Option<i64>,
}

fn main() {}
