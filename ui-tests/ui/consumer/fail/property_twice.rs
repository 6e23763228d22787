use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "crm", topics(Orders), config(
    "client.id" = "a",
    "client.id" = "b",
    "fetch.message.max.bytes" = 1000,
    "max.partition.fetch.bytes" = 2000,
))]
struct Crm0;

fn main() {}
