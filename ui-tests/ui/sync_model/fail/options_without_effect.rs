use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
struct Customer {
    id: i64,
    #[sync(skip, from = "label")]
    name: String,
    #[sync(compute = email_of, with = lower, default)]
    email: Option<String>,
}

fn main() {}
