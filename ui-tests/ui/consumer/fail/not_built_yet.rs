use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "crm", topics(Orders), order_by = key)]
struct Crm0;

fn main() {}
