use django_kafka_rs::prelude::*;
use django_kafka_rs::topic::{Encode, ProducedTopic};

#[derive(serde::Deserialize)]
struct OrderPlaced;

#[topic(name = "orders", value = OrderPlaced)]
struct Orders;

fn produce<T: ProducedTopic>(_topic: &T, _value: &T::Value)
where
    T::ValueFormat: Encode<T::Value>,
{
}

fn main() {
    produce(&Orders, &OrderPlaced);
}
