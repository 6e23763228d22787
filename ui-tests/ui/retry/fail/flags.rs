use django_kafka_rs::prelude::*;

#[topic(name = "orders0", retry(max_retries = 5, backoff = 2, jitter("half"), blocking, use_offset_tracker = "yes"))]
struct Orders0;

fn main() {}
