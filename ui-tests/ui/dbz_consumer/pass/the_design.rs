//! The README's models.
#![deny(warnings)]
#![forbid(unsafe_code)]

use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, first_name -> Text, email -> Nullable<Text>, joined -> Date, } }

#[topic(name = "${prefix}.public.customers", retry(max_retries = 5, delay = "2s", backoff))]
#[derive(Queryable, Selectable, Identifiable, Insertable, AsChangeset, DbzConsumer)]
#[diesel(table_name = customers)]
#[sync(exclude(password_hash))]
struct Customer {
    id: i64,
    #[sync(from = "name", with = shout)]
    first_name: String,
    email: Option<String>,
    joined: chrono::NaiveDate,
}
fn shout(name: String) -> String {
    name.to_uppercase()
}

fn main() {}
