use django_kafka_rs::prelude::*;

diesel::table! { orders (id) { id -> BigInt, } }

#[topic(name = "orders")]
#[derive(ModelTopicConsumer)]
struct Order {
    id: i64,
}

fn produce<T: ProducedTopic>(_topic: &T) {}

fn main() {
    produce(&Order { id: 1 });
}
