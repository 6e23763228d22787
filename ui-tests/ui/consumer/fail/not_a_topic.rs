use django_kafka_rs::prelude::*;

struct NotATopic;

#[consumer(group = "crm", topics(NotATopic))]
struct Crm0;

fn main() {}
