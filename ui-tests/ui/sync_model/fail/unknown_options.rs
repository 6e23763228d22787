use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
#[sync(exlude(password_hash), from = "x", colour)]
struct Customer {
    #[sync(lookup(id))]
    id: i64,
    #[sync(form = "label")]
    name: String,
}

fn main() {}
