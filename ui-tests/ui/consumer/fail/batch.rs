use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "crm", topics(Orders), batch(max = 0, bytes = "4MB", linger = 5))]
struct Crm0;

#[consumer(group = "crm", topics(Orders), batch())]
struct Crm1;

#[consumer(group = "crm", topics(Orders), batch(size = 5, linger = "5 apples"))]
struct Crm2;

#[consumer(group = "crm", topics(Orders), batch = 500)]
struct Crm3;

fn main() {}
