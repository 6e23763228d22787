use django_kafka_rs::prelude::*;

struct CrmSource;

fn published<C: Connector>() {}

fn main() {
    published::<CrmSource>();
}
