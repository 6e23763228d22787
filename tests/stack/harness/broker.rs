//! The broker: topics of one's own, producing, and asking.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::groups::GroupInfo;
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use super::{DEADLINE, address};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A broker, and a prefix: topics and groups whose names begin with it are removed at the end.
pub(crate) struct Broker {
    servers: String,
    prefix: String,
    runtime: tokio::runtime::Runtime,
    admin: AdminClient<DefaultClientContext>,
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl Broker {
    /// The stack's.
    pub(crate) fn new(prefix: &str) -> Self {
        Self::at(&address("KAFKA_BOOTSTRAP"), prefix)
    }

    pub(crate) fn at(servers: &str, prefix: &str) -> Self {
        let mut config = client(servers);
        let admin = config.create().unwrap();
        config.set("message.max.bytes", "20000000").set("linger.ms", "5").set("enable.idempotence", "true");
        Self {
            servers: servers.to_owned(),
            prefix: prefix.to_owned(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            admin,
            producer: config.create().unwrap(),
        }
    }

    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    pub(crate) fn create_topic(&self, topic: &str, partitions: i32) {
        self.create_topic_with(topic, partitions, &[]);
    }

    pub(crate) fn create_topic_with(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for (key, value) in config {
            new = new.set(key, value);
        }
        let done = self.runtime.block_on(self.admin.create_topics([&new], &AdminOptions::new())).unwrap();
        done[0].as_ref().unwrap();
    }

    /// Gives a topic so many partitions in all.
    pub(crate) fn expand_topic(&self, topic: &str, partitions: usize) {
        let new = NewPartitions::new(topic, partitions);
        let done = self.runtime.block_on(self.admin.create_partitions([&new], &AdminOptions::new())).unwrap();
        done[0].as_ref().unwrap();
    }

    pub(crate) fn delete_topic(&self, topic: &str) {
        let done = self.runtime.block_on(self.admin.delete_topics(&[topic], &AdminOptions::new())).unwrap();
        done[0].as_ref().unwrap();
    }

    /// The end of each of the topic's partitions; none where there is no such topic.
    pub(crate) fn ends(&self, topic: &str) -> Result<Vec<i64>, String> {
        let ask = || -> Result<Vec<i64>, KafkaError> {
            // A new one each time: one that has been told by a broker which starts that there are none asks no more.
            let asking: BaseConsumer = client(&self.servers).create()?;
            let metadata = asking.fetch_metadata(None, ANSWER_TIMEOUT)?;
            let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
                return Ok(Vec::new());
            };
            let end = |partition| Ok(asking.fetch_watermarks(topic, partition, ANSWER_TIMEOUT)?.1);
            (0..found.partitions().len() as i32).map(end).collect()
        };
        ask().map_err(|error| format!("the ends of {topic}: {error}"))
    }

    /// A topic's own configuration.
    pub(crate) fn topic_config(&self, topic: &str, key: &str) -> Result<Option<String>, String> {
        let asked = [ResourceSpecifier::Topic(topic)];
        let answer = self.runtime.block_on(self.admin.describe_configs(&asked, &AdminOptions::new()));
        let mut answer = answer.map_err(|error| error.to_string())?;
        let resource = answer.pop().unwrap().map_err(|code| format!("{topic}: {code}"))?;
        Ok(resource.entries.into_iter().find(|entry| entry.name == key).and_then(|entry| entry.value))
    }

    /// What a group has committed of each of the topic's first partitions, 0 where that is nothing.
    pub(crate) fn committed(&self, group: &str, topic: &str, partitions: usize) -> Result<Vec<i64>, String> {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions as i32 - 1);
        let asking: Result<BaseConsumer, _> = client(&self.servers).set("group.id", group).create();
        let found = asking.and_then(|asking| asking.committed_offsets(list, ANSWER_TIMEOUT));
        let found = found.map_err(|error| format!("what {group} has committed of {topic}: {error}"))?;
        let offset = |partition| found.find_partition(topic, partition).map(|found| found.offset());
        Ok((0..partitions as i32)
            .map(|partition| match offset(partition) {
                Some(Offset::Offset(offset)) => offset,
                _ => 0,
            })
            .collect())
    }

    /// Queues a message; `None` is a tombstone.
    pub(crate) fn send(&self, topic: &str, key: &str, value: Option<&[u8]>) {
        let mut record = BaseRecord::<str, [u8]>::to(topic).key(key);
        record.payload = value;
        loop {
            match self.producer.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    super::pause();
                }
                Err((error, _)) => panic!("{topic}: {error}"),
            }
        }
    }

    /// Waits until all that was queued is acknowledged.
    pub(crate) fn flush(&self) {
        self.producer.flush(DEADLINE).unwrap();
    }

    /// The topics whose names begin with the prefix.
    pub(crate) fn topics(&self) -> Vec<String> {
        let all = self.admin.inner().fetch_metadata(None, ANSWER_TIMEOUT).unwrap();
        all.topics().iter().map(|topic| topic.name().to_owned()).filter(|t| t.starts_with(&self.prefix)).collect()
    }

    /// All messages of a topic, as of now, by partition.
    pub(crate) fn read(&self, topic: &str) -> Vec<OwnedMessage> {
        let mut config = client(&self.servers);
        config
            .set("group.id", "reader")
            .set("fetch.message.max.bytes", "20000000")
            .set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), ANSWER_TIMEOUT).unwrap();
        let mut messages = Vec::new();
        for partition in metadata.topics()[0].partitions() {
            let (low, high) = consumer.fetch_watermarks(topic, partition.id(), ANSWER_TIMEOUT).unwrap();
            let mut assignment = TopicPartitionList::new();
            assignment.add_partition_offset(topic, partition.id(), Offset::Offset(low)).unwrap();
            consumer.assign(&assignment).unwrap();
            let mut next = low;
            while next < high {
                let message = super::wait_for("a message before the high watermark", || {
                    // Nothing is also what a poll gives that was spent on something else.
                    consumer.poll(ANSWER_TIMEOUT).ok_or_else(|| format!("{topic}: {next} of {high}"))
                });
                let message = message.unwrap();
                next = message.offset() + 1;
                messages.push(message.detach());
            }
        }
        messages
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let remove = async {
            let all = self.admin.inner().fetch_metadata(None, ANSWER_TIMEOUT)?;
            let topics: Vec<&str> = all.topics().iter().map(MetadataTopic::name).collect();
            // Debezium's heartbeats and the like carry the name elsewhere.
            let topics: Vec<&str> = topics.into_iter().filter(|topic| topic.contains(&self.prefix)).collect();
            self.admin.delete_topics(&topics, &AdminOptions::new()).await?;
            let groups = self.admin.inner().fetch_group_list(None, ANSWER_TIMEOUT)?;
            let groups: Vec<&str> =
                groups.groups().iter().map(GroupInfo::name).filter(|name| name.contains(&self.prefix)).collect();
            self.admin.delete_groups(&groups, &AdminOptions::new()).await.map(drop)
        };
        let _: Result<(), KafkaError> = self.runtime.block_on(remove);
    }
}

fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("log_level", "3");
    config
}
