use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[topic(name = "customers")]
struct Customers;

impl TopicConsumer for Customers {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "crm", topics(Orders, Customers, Orders))]
struct Crm0;

// By another name of the same type.
type Same = Orders;

#[consumer(group = "crm", topics(Orders, Same))]
struct Crm1;

fn main() {}
