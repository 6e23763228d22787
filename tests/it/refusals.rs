//! Retry and dead letter topics that the broker refuses: their partition waits, the others go on, and so does it once
//! the broker takes them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use django_kafka_rs::prelude::*;
use django_kafka_rs::producer::Kafka;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::{App, Handle, RunError};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

const DEADLINE: Duration = Duration::from_secs(30);

/// The values that a handler saw.
#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Seen {
    fn has(&self, value: &str) -> bool {
        self.0.lock().unwrap().iter().any(|seen| seen == value)
    }
}

fn handle(value: &str, cx: &Context) -> ConsumeResult {
    cx.state::<Arc<Seen>>().0.lock().unwrap().push(value.to_owned());
    if value == "poison" { Err("cannot take it".into()) } else { Ok(()) }
}

#[topic(name = "letters", register = false)]
struct Letters;

impl TopicConsumer for Letters {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        handle(&record.value()?, cx)
    }
}

#[topic(name = "hops", retry(max_retries = 1, delay = "1h", blocking = false), register = false)]
struct Hops;

impl TopicConsumer for Hops {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        handle(&record.value()?, cx)
    }
}

#[consumer(
    group = "crm",
    topics(Letters, Hops),
    batch(max = 1),
    config("auto.offset.reset" = "earliest", "session.timeout.ms" = 6000, "heartbeat.interval.ms" = 500)
)]
struct Crm;

struct Place {
    cluster: MockCluster<'static, DefaultProducerContext>,
    kafka: Kafka,
    handle: Handle,
    seen: Arc<Seen>,
}

impl Place {
    /// A broker that has all topics, and a service. What it refuses is said by `refuse` before the service starts.
    async fn new(refuse: impl FnOnce(&MockCluster<'static, DefaultProducerContext>)) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        for topic in ["letters", "hops", "crm.letters.dlt", "crm.hops.dlt", "crm.hops.retry.1"] {
            cluster.create_topic(topic, 2, 1).unwrap();
        }
        refuse(&cluster);
        Self::on(cluster).await
    }

    async fn on(cluster: MockCluster<'static, DefaultProducerContext>) -> Self {
        let mut settings = Settings::default();
        settings.global_config.set("bootstrap.servers", cluster.bootstrap_servers());
        settings.polling_frequency = Duration::from_millis(20);
        let seen = Arc::new(Seen::default());
        let handle = App::builder().consumer(Crm).settings(settings.clone()).state(seen.clone()).start().await.unwrap();
        // What a test refuses is meant for the service's producer: this one asks for no identity.
        settings.producer_config.set("enable.idempotence", "false");
        let kafka = Kafka::connect(&settings).unwrap();
        Self { cluster, kafka, handle, seen }
    }

    /// What fails and what is behind it in its partition, and a message of another partition.
    async fn produce<T>(&self, topic: &T)
    where
        T: ProducedTopic<Key = String, Value = String>,
        T::KeyFormat: Encode<String>,
        T::ValueFormat: Encode<String>,
    {
        for (value, partition) in [("poison", 0), ("behind", 0), ("elsewhere", 1)] {
            self.kafka.message(topic).key("k").value(value).partition(partition).send().await.unwrap();
        }
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}; {:?}", self.handle.summary());
            tokio::task::yield_now().await;
        }
    }

    async fn end(self) {
        self.handle.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_waits_for_a_dead_letter_topic_that_may_not_be_written() {
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    let place = Place::new(|cluster| cluster.topic_error("crm.letters.dlt", refused).unwrap()).await;
    place.produce(&Letters).await;
    place.until("the other partition goes on", |place| place.seen.has("elsewhere")).await;
    place.until("the message fails", |place| place.seen.has("poison")).await;
    assert!(!place.seen.has("behind"), "nothing passes it");
    assert_eq!(place.handle.summary().dead_lettered, 0);

    place.cluster.topic_error("crm.letters.dlt", RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    place.until("it goes on by itself", |place| place.seen.has("behind")).await;
    place.until("all is counted", |place| place.handle.summary().handled == 3).await;
    assert_eq!(place.handle.summary().dead_lettered, 1);
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_waits_for_a_retry_topic_that_may_not_be_written() {
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    let place = Place::new(|cluster| cluster.topic_error("crm.hops.retry.1", refused).unwrap()).await;
    place.produce(&Hops).await;
    place.until("the other partition goes on", |place| place.seen.has("elsewhere")).await;
    place.until("the message fails", |place| place.seen.has("poison")).await;
    assert!(!place.seen.has("behind"), "nothing passes it");

    place.cluster.topic_error("crm.hops.retry.1", RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    place.until("it goes on by itself", |place| place.seen.has("behind")).await;
    place.until("all is counted", |place| place.handle.summary().handled == 3).await;
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_is_refused_for_good_ends_the_process_and_loses_nothing() {
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    let place = Place::new(|cluster| cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refused])).await;
    place.produce(&Letters).await;
    let ended = place.handle.wait().await.unwrap_err();
    assert!(matches!(ended, RunError::Fatal { .. } | RunError::Producer { .. }), "{ended:?}");
    assert!(!place.seen.has("behind"), "nothing passes what failed");

    // Whoever starts it again: the message is there.
    let again = Place::on(place.cluster).await;
    again.until("all is handled", |place| place.seen.has("behind")).await;
    again.until("all is counted", |place| place.handle.summary().dead_lettered == 1).await;
    again.end().await;
}
