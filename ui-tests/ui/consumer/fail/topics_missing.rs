use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "crm")]
struct Crm0;

#[consumer(group = "crm", topics())]
struct Crm1;

#[consumer(group = "crm", topics = Orders)]
struct Crm2;

#[consumer(group = "crm", topics("orders"))]
struct Crm3;

fn main() {}
