use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "crm", topics(Orders), workers = 0)]
struct Crm0;

#[consumer(group = "crm", topics(Orders), workers = "four")]
struct Crm1;

fn main() {}
