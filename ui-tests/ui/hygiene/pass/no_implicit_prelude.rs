#![no_implicit_prelude]

use ::django_kafka_rs::prelude::{
    ConsumeResult, Context, Record, Topic, TopicConsumer, connector, consumer, topic,
};
use ::std::prelude::rust_2024::{Default, Ok};
use ::std::{assert, assert_eq};

// Names that generated code must not fall into.
#[allow(dead_code)]
struct Option;
#[allow(dead_code)]
struct Some;
#[allow(dead_code)]
struct String;
#[allow(dead_code)]
struct Vec;
#[allow(dead_code)]
mod core {}
#[allow(dead_code)]
mod std {}
#[allow(dead_code)]
mod diesel_ {}
#[allow(dead_code)]
mod django_kafka_rs {}

#[topic(name = "texts", retry(max_retries = 3, include(::std::io::Error)))]
struct Texts;

#[topic(name = "bytes", format = bytes)]
#[derive(Default)]
struct Bytes {
    seen: u64,
}

impl TopicConsumer for Texts {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

impl TopicConsumer for Bytes {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        assert!(self.seen == 0);
        Ok(())
    }
}

#[consumer(group = "crm", topics(Texts, Bytes), batch(max = 5), workers = 1, config("client.id" = "crm"))]
struct Crm;

#[connector(config("connector.class" = "org.acme.Source"), name = "crm")]
struct CrmSource;

#[connector(config = source)]
struct Other;

fn source() -> ::django_kafka_rs::connect::ConnectorConfig {
    ::django_kafka_rs::connect::ConnectorConfig::of_class("org.acme.Source")
}

fn main() {
    assert_eq!(Texts::DECLARATION.name, "texts");
    assert!(Bytes::__construct().is_some());
}
