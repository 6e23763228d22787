use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
#[sync(exclude = "password_hash", lookup(), reduce(on), envelope = flattened, deleted_field(gone), after = "changed")]
struct Customer {
    id: i64,
    #[sync(from = name, with = "shout", skip = true)]
    name: String,
    #[sync]
    email: Option<String>,
}

#[derive(SyncModel)]
#[diesel(table_name = customers)]
#[sync(exclude(password_hash), exclude(note), lookup(id = value))]
struct Twice {
    #[sync(from = "a", from = "")]
    id: i64,
}

fn main() {}
