use django_kafka_rs::prelude::*;

macro_rules! audit_topic {
    ($topic:ident, $name:literal, $value:ty, $format:ident, $retries:expr, $error:path, $delay:literal) => {
        #[topic(
            name = $name,
            value = $value,
            value_format = $format,
            retry(max_retries = $retries, delay = $delay, include($error)),
        )]
        struct $topic;

        impl TopicConsumer for $topic {
            async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
                let _value: $value = record.value()?;
                Ok(())
            }
        }
    };
}

macro_rules! consumer_of {
    ($consumer:ident, $group:literal, [$($topic:ty),*], { $($key:literal = $value:literal),* }) => {
        #[consumer(group = $group, topics($($topic),*), config($($key = $value),*))]
        struct $consumer;
    };
}

audit_topic!(Audit, "audit", Vec<u8>, bytes, 5, std::io::Error, "2s");
audit_topic!(Log, "^log[.].*", String, string, -1, std::fmt::Error, 3);
consumer_of!(Crm, "crm", [Audit, self::Log], { "auto.offset.reset" = "earliest", "session.timeout.ms" = 6000 });

fn main() {
    assert_eq!(Audit::DECLARATION.name, "audit");
    assert_eq!(Log::DECLARATION.retry.map(|r| r.max_retries), Some(-1));
    assert_eq!(Crm::DECLARATION.topics.len(), 2);
}
