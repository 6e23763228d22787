use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
#[sync(lookup(nmae, email, email))]
struct Customer {
    id: i64,
    name: String,
    #[sync(skip)]
    email: Option<String>,
}

#[derive(SyncModel)]
#[diesel(table_name = customers)]
#[sync(lookup(id), lookup_with = by_name)]
struct Both {
    id: i64,
}

#[derive(SyncModel)]
#[diesel(table_name = customers)]
#[sync(lookup(id = key, name = key), is_deletion = is_gone, deleted_field = "gone")]
struct TwoKeys {
    id: i64,
    name: String,
}

#[derive(SyncModel)]
#[diesel(table_name = customers)]
struct Computed {
    #[sync(compute = next_id)]
    id: i64,
}

fn main() {}
