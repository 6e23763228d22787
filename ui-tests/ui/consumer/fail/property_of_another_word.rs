use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "crm", topics(Orders), config("auto.offset.reset" = "first", "isolation.level" = "none", "debug" = "consumer,bugs"))]
struct Crm0;

#[consumer(group = "crm", topics(Orders), config("auto.offset.reset" = "earlyest"))]
struct Crm1;

fn main() {}
