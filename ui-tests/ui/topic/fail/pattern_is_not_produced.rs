use django_kafka_rs::prelude::*;

#[topic(name = "^orders[.].*")]
struct AnyOrders;

fn produce<T: ProducedTopic>(_topic: &T) {}

fn main() {
    produce(&AnyOrders);
}
