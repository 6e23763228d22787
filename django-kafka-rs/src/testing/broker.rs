//! What tests ask the broker: where topics end, and what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::TestResult;
use crate::consumer::event::PartitionId;
use crate::record::Headers;
use crate::registry::ResolvedConsumer;
use crate::topic::RetryMode;
use crate::topic::names::{Suffixes, retry_pattern};

/// How long the broker may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A message as read back.
#[derive(Debug, Clone)]
pub(crate) struct TestMessage {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Headers,
}

/// A group, and a partition that it takes.
pub(super) type Taker = (String, PartitionId);

/// The group in which retry topics are read.
pub(super) fn retry_group(group: &str) -> String {
    format!("{group}.retry")
}

/// The topics that a consumer takes.
pub(super) struct Taken {
    group: String,
    names: BTreeSet<String>,
    patterns: Vec<regex::Regex>,
    /// Its group's own retry and dead letter topics, which its patterns pass over.
    own: regex::RegexSet,
    /// What the consumer of its retry topics takes.
    retries: regex::RegexSet,
}

impl Taken {
    pub(super) fn new(consumer: &ResolvedConsumer, suffixes: Suffixes<'_>) -> TestResult<Self> {
        let (patterns, names): (Vec<&str>, Vec<&str>) =
            consumer.topics.iter().map(|topic| topic.name.as_str()).partition(|name| name.starts_with('^'));
        Ok(Self {
            group: consumer.group.clone(),
            names: names.into_iter().map(str::to_owned).collect(),
            patterns: patterns.into_iter().map(regex::Regex::new).collect::<Result<_, _>>()?,
            own: regex::RegexSet::new(consumer.passed_over(suffixes).split(','))?,
            retries: regex::RegexSet::new(
                consumer
                    .topics
                    .iter()
                    .filter(|topic| topic.retry.is_some_and(|r| r.mode == RetryMode::NonBlocking && r.max_retries > 0))
                    .map(|topic| retry_pattern(&consumer.group, &topic.name, suffixes.retry)),
            )?,
        })
    }

    /// The groups in which the topic is read: the consumer's, that of its retries, or none.
    fn groups(&self, topic: &str) -> Vec<String> {
        let by_pattern = || self.patterns.iter().any(|p| p.is_match(topic)) && !self.own.is_match(topic);
        let own = (self.names.contains(topic) || by_pattern()).then(|| self.group.clone());
        let retries = self.retries.is_match(topic).then(|| retry_group(&self.group));
        own.into_iter().chain(retries).collect()
    }
}

/// The end of each partition of the topics that are taken, for each group that takes it.
pub(super) fn ends(client: &ClientConfig, taken: &[Taken]) -> TestResult<BTreeMap<Taker, i64>> {
    let consumer: BaseConsumer = client.create()?;
    let metadata = consumer.fetch_metadata(None, ANSWER_TIMEOUT)?;
    let mut ends = BTreeMap::new();
    for topic in metadata.topics() {
        let name = topic.name();
        let groups: BTreeSet<String> = taken.iter().flat_map(|consumer| consumer.groups(name)).collect();
        if groups.is_empty() {
            continue;
        }
        for partition in topic.partitions() {
            let (_, high) = consumer.fetch_watermarks(name, partition.id(), ANSWER_TIMEOUT)?;
            for group in &groups {
                ends.insert((group.clone(), (Arc::from(name), partition.id())), high);
            }
        }
    }
    Ok(ends)
}

pub(super) fn topic_names(client: &ClientConfig) -> TestResult<Vec<String>> {
    let consumer: BaseConsumer = client.create()?;
    let metadata = consumer.fetch_metadata(None, ANSWER_TIMEOUT)?;
    Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
}

pub(super) fn read_all(client: &ClientConfig, topic: &str) -> TestResult<Vec<TestMessage>> {
    let mut client = client.clone();
    // librdkafka wants a group for its consumer queue; nothing is joined or committed with `assign`.
    client.set("group.id", "django-kafka-test-reader").set("enable.auto.commit", "false");
    client.set("fetch.queue.backoff.ms", "1");
    let consumer: BaseConsumer = client.create()?;
    let metadata = consumer.fetch_metadata(None, ANSWER_TIMEOUT)?;
    let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else { return Ok(Vec::new()) };
    let mut left = BTreeMap::new();
    let mut list = TopicPartitionList::new();
    for partition in found.partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), ANSWER_TIMEOUT)?;
        if low < high {
            left.insert(partition.id(), high);
            list.add_partition_offset(topic, partition.id(), Offset::Offset(low))?;
        }
    }
    consumer.assign(&list)?;
    drop(list);
    let mut messages = Vec::new();
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    while !left.is_empty() {
        if Instant::now() > deadline {
            return Err(format!("topic `{topic}` could not be read to its end").into());
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        if left.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
            left.remove(&message.partition());
        }
        let mut headers = Headers::new();
        for header in message.headers().iter().flat_map(|headers| headers.iter()) {
            headers.push(header.key, header.value.map(<[u8]>::to_vec));
        }
        messages.push(TestMessage {
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
        });
    }
    Ok(messages)
}
