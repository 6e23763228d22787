use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[topic(name = "orders.orders.orders.orders.orders.orders.orders.orders.orders.orders.orders.retried", retry(max_retries = 100, blocking = false))]
struct Retried;

impl TopicConsumer for Retried {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-", topics(Orders, Retried))]
struct Crm0;

// Without retry topics: the dead letter topic alone.
#[consumer(group = "crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-crm-", topics(Orders))]
struct Crm1;

fn main() {}
