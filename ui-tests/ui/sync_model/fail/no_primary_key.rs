use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
struct Customer {
    name: String,
}

#[derive(SyncModel)]
#[diesel(table_name = customers, primary_key(id, number))]
struct Numbered {
    id: i64,
}

#[derive(SyncModel)]
#[diesel(table_name = customers)]
struct LeftOut {
    #[sync(skip)]
    id: i64,
    name: String,
}

fn main() {}
