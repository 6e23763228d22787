use django_kafka_rs::prelude::*;

struct Order;

#[topic(name = "orders", value = Order)]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        let _order = record.value()?;
        Ok(())
    }
}

fn main() {}
