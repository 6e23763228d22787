use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}


#[consumer(group = "crm", topics(Orders))]
struct Fields {
    count: u32,
}

#[consumer(group = "crm", topics(Orders))]
enum Crm {}

#[consumer(group = "crm", topics(Orders))]
struct Generic<T>(T);

fn main() {}
