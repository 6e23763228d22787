use django_kafka_rs::prelude::*;

#[topic(name = "orders0", retry(max_retries = 5, delay = 0))]
struct Orders0;

#[topic(name = "orders1", retry(max_retries = 5, delay = -5))]
struct Orders1;

#[topic(name = "orders2", retry(max_retries = 5, delay = "0s"))]
struct Orders2;

#[topic(name = "orders3", retry(max_retries = 5, delay = "soon"))]
struct Orders3;

#[topic(name = "orders4", retry(max_retries = 5, delay = "2 weeks"))]
struct Orders4;

#[topic(name = "orders5", retry(max_retries = 5, delay = 1.5))]
struct Orders5;

#[topic(name = "orders6", retry(max_retries = 5, delay = "9000d"))]
struct Orders6;

fn main() {}
