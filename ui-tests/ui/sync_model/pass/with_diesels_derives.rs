//! Beside Diesel's own derives, in any order, with a model that is used by nothing else.
#![deny(warnings)]

use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, } }
diesel::table! { orders (id) { id -> BigInt, customer_id -> BigInt, total -> Double, } }

#[derive(Queryable, Selectable, Identifiable, Insertable, AsChangeset, SyncModel)]
#[diesel(table_name = customers)]
struct Customer {
    id: i64,
    name: String,
}

#[derive(SyncModel, Queryable, Selectable, Identifiable, Insertable, AsChangeset, Associations)]
#[diesel(table_name = orders, belongs_to(Customer))]
struct Order {
    id: i64,
    customer_id: i64,
    total: f64,
}

fn main() {}
