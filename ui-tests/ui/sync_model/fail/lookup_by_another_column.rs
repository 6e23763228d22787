use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, email -> Text, note -> Text, } }
diesel::table! { orders (id) { id -> BigInt, } }

#[derive(SyncModel)]
#[sync(lookup_with = by_order)]
struct Customer {
    id: i64,
    email: String,
}

fn by_order(_cx: &SyncContext<'_>) -> Result<Lookup<Customer>, ConsumeError> {
    Ok(Lookup::by(orders::id, 1))
}

fn by_note(_cx: &SyncContext<'_>) -> Result<Lookup<Customer>, ConsumeError> {
    Ok(Lookup::by(customers::note, "new"))
}

fn main() {}
