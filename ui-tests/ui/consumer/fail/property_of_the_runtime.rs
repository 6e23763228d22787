use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "crm", topics(Orders), config("enable.auto.offset.store" = true, "enable.auto.commit" = false, "enable.partition.eof" = true))]
struct Crm0;

#[consumer(group = "crm", topics(Orders), config("rebalance_cb" = "f", "enable.auto.offset.store" = env("STORE")))]
struct Crm1;

fn main() {}
