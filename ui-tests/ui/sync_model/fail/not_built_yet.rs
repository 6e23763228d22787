use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
#[sync(relations(auto), relations_with = parents)]
struct Customer {
    id: i64,
    #[sync(relation(Customer))]
    name: String,
}

fn main() {}
