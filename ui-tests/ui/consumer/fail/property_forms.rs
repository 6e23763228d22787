use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "crm", topics(Orders), config(auto.offset.reset = "earliest", "client.id", "client.rack" =, "client.software.name" = hostname(), "group.instance.id" = environment("ID"), "sasl.username" = env(""), "sasl.password" = env(PASSWORD)))]
struct Crm0;

#[consumer(group = "crm", topics(Orders), config = "auto.offset.reset=earliest")]
struct Crm1;

fn main() {}
