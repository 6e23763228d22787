use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "crm", topics(Orders), suppress())]
struct Crm0;

#[consumer(group = "crm", topics(Orders), suppress = "orders")]
struct Crm1;

#[consumer(group = "crm", topics(Orders), suppress(Orders))]
struct Crm2;

#[consumer(group = "crm", topics(Orders), suppress("orders", "audit", "orders"))]
struct Crm3;

#[consumer(group = "crm", topics(Orders), suppress("^orders.*", "all orders", ""))]
struct Crm4;

fn main() {}
