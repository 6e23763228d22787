use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }

#[derive(SyncModel)]
#[sync(after = chagned)]
struct Customer {
    id: i64,
    #[sync(with = missing)]
    name: String,
    #[sync(compute = mising)]
    email: Option<String>,
}
fn changed() {}

fn main() {}
