//! The broker: topics and groups of this run, removed at its end.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::Failure;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Broker {
    servers: String,
    prefix: String,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Broker {
    /// All topics and groups whose names begin with `prefix` are this one's.
    pub(crate) fn new(servers: &str, prefix: &str) -> Result<Self, Failure> {
        let admin = ClientConfig::new().set("bootstrap.servers", servers).create()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { servers: servers.to_owned(), prefix: prefix.to_owned(), admin, runtime })
    }

    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    pub(crate) fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), Failure> {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let created = self.runtime.block_on(self.admin.create_topics([&new], &AdminOptions::new()))?;
        created
            .into_iter()
            .try_for_each(|topic| topic.map(drop))
            .map_err(|(topic, code)| format!("{topic}: {code}").into())
    }

    pub(crate) fn delete_topics<'t>(&self, topics: impl Iterator<Item = &'t str>) -> Result<(), Failure> {
        let topics: Vec<&str> = topics.collect();
        self.runtime.block_on(self.admin.delete_topics(&topics, &AdminOptions::new()))?;
        Ok(())
    }

    /// How many messages the group has committed.
    pub(crate) fn committed(&self, topic: &str, group: &str, partitions: i32) -> Result<u64, Failure> {
        Committed::of(&self.servers, topic, group, partitions)?.messages()
    }
}

/// What a group has committed, asked by one client again and again.
pub(crate) struct Committed {
    consumer: BaseConsumer,
    asked: TopicPartitionList,
}

impl Committed {
    pub(crate) fn of(servers: &str, topic: &str, group: &str, partitions: i32) -> Result<Self, Failure> {
        let consumer = ClientConfig::new().set("bootstrap.servers", servers).set("group.id", group).create()?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, partitions - 1);
        Ok(Self { consumer, asked })
    }

    pub(crate) fn messages(&self) -> Result<u64, Failure> {
        let committed = self.consumer.committed_offsets(self.asked.clone(), ANSWER_TIMEOUT)?;
        let offsets = committed.elements().into_iter().map(|partition| match partition.offset() {
            Offset::Offset(offset) => u64::try_from(offset).unwrap_or(0),
            _ => 0,
        });
        Ok(offsets.sum())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let remove = async {
            let all = self.admin.inner().fetch_metadata(None, ANSWER_TIMEOUT)?;
            let topics = all.topics().iter().map(rdkafka::metadata::MetadataTopic::name);
            let topics: Vec<&str> = topics.filter(|topic| topic.starts_with(&self.prefix)).collect();
            if !topics.is_empty() {
                self.admin.delete_topics(&topics, &AdminOptions::new()).await?;
            }
            let all = self.admin.inner().fetch_group_list(None, ANSWER_TIMEOUT)?;
            let groups = all.groups().iter().map(rdkafka::groups::GroupInfo::name);
            // The sink's begin with Connect's own word.
            let is_ours = |group: &str| group.trim_start_matches("connect-").starts_with(&self.prefix);
            let groups: Vec<&str> = groups.filter(|group| is_ours(group)).collect();
            self.admin.delete_groups(&groups, &AdminOptions::new()).await.map(drop)
        };
        let removed: Result<(), KafkaError> = self.runtime.block_on(remove);
        if let Err(error) = removed {
            eprintln!("bench: topics and groups named {}… are left on the broker: {error}", self.prefix);
        }
    }
}
