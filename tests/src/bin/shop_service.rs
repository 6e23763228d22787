//! A service whose orders and notes wait for their customers, for tests of `waiting` and `resolve-relations`.

use std::process::ExitCode;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::prelude::*;

mod schema {
    diesel::table! { customers (id) { id -> BigInt, name -> Text, } }
    diesel::table! { orders (id) { id -> BigInt, customer_id -> BigInt, total -> BigInt, } }
    diesel::table! { notes (id) { id -> BigInt, customer_id -> BigInt, } }
}
use schema::{customers, notes, orders};

#[topic(name = "shop.customers")]
#[derive(Queryable, Selectable, Identifiable, DbzConsumer)]
struct Customer {
    id: i64,
    name: String,
}

#[topic(name = "shop.orders", retry(max_retries = 3, delay = "1h"))]
#[derive(Queryable, Selectable, Identifiable, Associations, DbzConsumer)]
#[diesel(belongs_to(Customer))]
#[sync(relations(auto))]
struct Order {
    id: i64,
    customer_id: i64,
    total: i64,
}

/// What waits beside orders, and is claimed with them.
#[topic(name = "shop.notes")]
#[derive(Queryable, Selectable, Identifiable, Associations, DbzConsumer)]
#[diesel(belongs_to(Customer))]
#[sync(relations(auto))]
struct Note {
    id: i64,
    customer_id: i64,
}

#[consumer(
    group = "shop",
    topics(Customer, Order, Note),
    config("auto.offset.reset" = "earliest", "session.timeout.ms" = 1300, "heartbeat.interval.ms" = 50)
)]
struct Shop;

/// Another service's: it writes what orders wait for, and knows nothing of orders.
#[consumer(
    group = "crm",
    topics(Customer),
    config("auto.offset.reset" = "earliest", "session.timeout.ms" = 1300, "heartbeat.interval.ms" = 50)
)]
struct Crm;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_shop_service");

fn main() -> ExitCode {
    App::from_linked().migrations(MIGRATIONS).run()
}
