use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
#[sync(guard(off))]
struct Customer {
    id: i64,
    name: String,
}

fn main() {}
