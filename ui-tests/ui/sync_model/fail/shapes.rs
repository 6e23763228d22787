use django_kafka_rs::prelude::*;


#[derive(SyncModel)]
enum Status {
    Open,
}

#[derive(SyncModel)]
struct Pair(i64, String);

#[derive(SyncModel)]
struct Nothing;

#[derive(SyncModel)]
struct Generic<T> {
    id: T,
}

#[derive(SyncModel)]
struct Borrowed<'a> {
    id: &'a str,
}

fn main() {}
