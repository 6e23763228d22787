use django_kafka_rs::prelude::*;

#[topic(name = "orders0", retry(max_retrys = 5, dealy = 2))]
struct Orders0;

#[topic(name = "orders1", retry(5))]
struct Orders1;

#[topic(name = "orders2", retry(max_retries = 5, key = String))]
struct Orders2;

#[topic(name = "orders3", retry(max_retries = 5, max_retries = 6))]
struct Orders3;

fn main() {}
