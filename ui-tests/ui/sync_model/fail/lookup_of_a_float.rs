use django_kafka_rs::prelude::*;


diesel::table! { readings (id) { id -> BigInt, at -> Double, } }

#[derive(SyncModel)]
#[sync(lookup(at))]
struct Reading {
    id: i64,
    at: f64,
}

fn main() {}
