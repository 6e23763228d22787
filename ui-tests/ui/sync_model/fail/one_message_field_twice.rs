use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
struct Customer {
    id: i64,
    name: String,
    #[sync(from = "name")]
    email: Option<String>,
}

#[derive(SyncModel)]
#[diesel(table_name = customers)]
struct SameColumn {
    id: i64,
    name: String,
    #[diesel(column_name = name)]
    label: String,
}

fn main() {}
