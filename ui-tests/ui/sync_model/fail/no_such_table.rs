use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
struct Order {
    id: i64,
    name: String,
}

#[derive(SyncModel)]
#[diesel(table_name = custmers)]
struct Customer {
    id: i64,
    name: String,
}

fn main() {}
