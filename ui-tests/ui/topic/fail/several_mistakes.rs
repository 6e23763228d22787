use django_kafka_rs::prelude::*;

#[topic(name = "new orders", vlaue = String, format = xml, retry(max_retries = -2, delay = 0))]
struct Orders;

// None of these fails too: the topic is there, and only the mistakes above are reported.
impl TopicConsumer for Orders {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        let _: String = record.key()?;
        Ok(())
    }
}

#[consumer(group = "crm", topics(Orders))]
struct Crm;

fn main() {}
