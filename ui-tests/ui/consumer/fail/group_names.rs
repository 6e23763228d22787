use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "", topics(Orders))]
struct Crm0;

#[consumer(group = "my crm", topics(Orders))]
struct Crm1;

#[consumer(group = "${env", topics(Orders))]
struct Crm2;

#[consumer(group = GROUP, topics(Orders))]
struct Crm3;

fn main() {}
