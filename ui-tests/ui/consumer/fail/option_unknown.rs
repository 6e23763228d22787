use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(gruop = "crm", topics(Orders), name = "crm")]
struct Crm0;

#[consumer("crm", topics(Orders))]
struct Crm1;

fn main() {}
