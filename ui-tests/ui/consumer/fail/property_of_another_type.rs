use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "crm", topics(Orders), config("session.timeout.ms" = "soon", "check.crcs" = 1, "fetch.min.bytes" = true, "client.id" = 5, "heartbeat.interval.ms" = 1.5))]
struct Crm0;

fn main() {}
