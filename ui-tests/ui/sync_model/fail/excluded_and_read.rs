use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
#[sync(exclude(label, email, id, email))]
struct Customer {
    id: i64,
    #[sync(from = "label")]
    name: String,
    #[sync(with = lower)]
    email: Option<String>,
}

fn main() {}
