//! A crate that re-exports this one, for users who name neither it nor Diesel.
#![deny(warnings)]

mod facade {
    pub(crate) use django_kafka_rs as kafka;
}
mod models {
    use crate::facade::kafka::prelude::*;

    crate::facade::kafka::prelude::table! { customers (id) { id -> BigInt, } }

    #[derive(SyncModel)]
    #[sync(crate = crate::facade::kafka)]
    struct Customer {
        id: i64,
    }
}

fn main() {}
