//! One map, or several attributes; models in other modules.
#![deny(warnings)]
#![forbid(unsafe_code)]

use django_kafka_rs::prelude::*;

mod models {
    use django_kafka_rs::prelude::*;

    diesel::table! { customers (id) { id -> BigInt, } }
    diesel::table! { orders (id) { id -> BigInt, } }

    #[derive(SyncModel)]
    pub(crate) struct Customer {
        id: i64,
    }
    #[derive(SyncModel)]
    pub(crate) struct Order {
        id: i64,
    }
}

#[topic(name = "^crm\\.public\\..*")]
#[derive(DbzConsumer)]
#[reroute("public.customers" => models::Customer, "public.orders" => models::Order)]
#[sync(exclude(password_hash), lookup(id), envelope = flat)]
struct Everything;

#[topic(name = "crm.all")]
#[derive(DbzConsumer)]
#[reroute("public.customers" => models::Customer)]
#[reroute("archive.customers" => models::Customer)]
struct Twice;

fn main() {}
