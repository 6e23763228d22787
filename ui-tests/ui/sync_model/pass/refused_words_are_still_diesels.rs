//! Fields that are no plain columns for Diesel, each with what was said about them.
#![deny(warnings)]

use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, total -> Double, } }

#[derive(Insertable, AsChangeset, SyncModel)]
#[diesel(table_name = customers)]
struct Customer {
    // Diesel leaves the key to the database; a sync writes the message's.
    #[diesel(skip_insertion)]
    #[sync(from = "id")]
    id: i64,
    // The other way round.
    #[sync(skip)]
    name: String,
    #[diesel(skip_update)]
    #[sync(skip)]
    total: f64,
}

fn main() {}
