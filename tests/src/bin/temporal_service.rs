//! A shop whose orders wait for their customers: the service of the tests with Temporal.

use std::process::ExitCode;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::prelude::*;

mod schema {
    diesel::table! { customers (id) { id -> BigInt, name -> Text, uid -> Nullable<Text>, } }
    diesel::table! {
        orders (id) { id -> BigInt, customer_id -> Nullable<BigInt>, total -> BigInt, note -> Nullable<Text>, }
    }
}
use schema::{customers, orders};

#[topic(name = "${prefix}.customers")]
#[derive(Queryable, Identifiable, DbzConsumer)]
struct Customer {
    id: i64,
    name: String,
    uid: Option<String>,
}

#[topic(name = "${prefix}.orders", retry(max_retries = 1, delay = "10ms"))]
#[derive(Queryable, Identifiable, Associations, DbzConsumer)]
#[diesel(belongs_to(Customer))]
#[sync(relations(auto))]
struct Order {
    id: i64,
    customer_id: Option<i64>,
    total: i64,
    note: Option<String>,
}

#[consumer(group = "${prefix}-shop", topics(Customer, Order), config("auto.offset.reset" = "earliest"))]
struct Shop;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_relations");

fn main() -> ExitCode {
    App::from_linked().migrations(MIGRATIONS).run()
}
