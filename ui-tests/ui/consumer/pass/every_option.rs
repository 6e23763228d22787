use django_kafka_rs::prelude::*;

#[topic(name = "orders")]
struct Orders;

impl TopicConsumer for Orders {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[topic(name = "${prefix}.customers")]
struct Customers;

impl TopicConsumer for Customers {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}


use django_kafka_rs::__private::{
    BatchSettings, ConfigValue, DECLARATIONS, Declaration, OffsetStore, SuppressedTopics,
};

#[consumer(
    group = "${prefix}.crm",
    topics(Orders, Customers),
    config(
        "auto.offset.reset" = "earliest",
        "enable.auto.offset.store" = false,
        "session.timeout.ms" = 6000,
        "fetch.min.bytes" = "1",
        "check.crcs" = true,
        "bootstrap.servers" = env("KAFKA"),
        "sasl.password" = setting("kafka.password"),
        "debug" = "consumer,cgrp",
        "partition.assignment.strategy" = "cooperative-sticky",
    ),
    batch(max = 2000, bytes = 4000000, linger = "5ms"),
    workers = 4,
    offsets = "kafka",
    suppress("orders", "${prefix}.customers"),
)]
struct Crm;

#[consumer(topics(Orders), config("group.id" = "from-property"), offsets = "database", suppress)]
struct Property;

fn main() {
    let crm = Crm::DECLARATION;
    assert_eq!((crm.type_name, crm.group, crm.topics.len(), crm.workers), ("Crm", "${prefix}.crm", 2, Some(4)));
    let batch = BatchSettings { max: Some(2000), bytes_max: Some(4_000_000), linger_ms: Some(5) };
    assert_eq!(crm.batch, batch);
    assert_eq!(crm.config[0], ("auto.offset.reset", ConfigValue::Str("earliest")));
    assert_eq!(crm.config[5], ("bootstrap.servers", ConfigValue::Env("KAFKA")));
    assert_eq!(crm.suppress, SuppressedTopics::Named(&["orders", "${prefix}.customers"]));
    assert_eq!(Property::DECLARATION.suppress, SuppressedTopics::All);
    assert_eq!((Property::DECLARATION.group, Property::DECLARATION.config.len()), ("from-property", 0));
    assert_eq!((crm.offsets, Property::DECLARATION.offsets), (OffsetStore::Kafka, OffsetStore::Database));
    assert_eq!(DECLARATIONS.iter().filter(|d| matches!(d, Declaration::Consumer(_))).count(), 2);
}
