//! Reading topics from their beginning to their end, without joining a group; and what was replayed, which is kept as
//! the offsets of one. All block.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::replayed::Replayed;
use crate::consumer::poll::record_of;
use crate::record::RawRecord;

/// How long the broker may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing may come of a partition that has more.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A client that reads.
pub(super) struct Reader {
    client: BaseConsumer,
    /// The group whose offsets say what was replayed.
    group: String,
}

/// Why the broker was of no use.
type Failed = String;

impl Reader {
    /// `config`: of a consumer that may read the topics. `group`: whose offsets say what was replayed.
    pub(super) fn new(mut config: ClientConfig, group: String) -> Result<Self, Failed> {
        for member in ["group.instance.id", "group.protocol", "partition.assignment.strategy"] {
            config.remove(member);
        }
        config.set("group.id", &group);
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("enable.partition.eof", "true");
        // Read one after the other, and a chunk at a time.
        config.set("queued.min.messages", "1000").set("queued.max.messages.kbytes", "16384");
        config.set("fetch.queue.backoff.ms", "5");
        let client = config.create().map_err(|e| format!("the Kafka client cannot be made: {e}"))?;
        Ok(Self { client, group })
    }

    /// The partitions of each topic that the broker has.
    pub(super) fn topics(&self) -> Result<BTreeMap<String, Vec<i32>>, Failed> {
        let metadata = self.client.fetch_metadata(None, ANSWER_TIMEOUT).map_err(|e| e.to_string())?;
        let there = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(there
            .map(|topic| {
                let mut partitions: Vec<i32> = topic.partitions().iter().map(|partition| partition.id()).collect();
                partitions.sort_unstable();
                (topic.name().to_owned(), partitions)
            })
            .collect())
    }

    /// The first offset of a partition, and the one behind its last.
    pub(super) fn ends(&self, topic: &str, partition: i32) -> Result<(i64, i64), Failed> {
        self.client
            .fetch_watermarks(topic, partition, ANSWER_TIMEOUT)
            .map_err(|e| format!("the ends of `{topic}` partition {partition} are not known: {e}"))
    }

    /// Reads a partition from an offset up to its end as it is now.
    pub(super) fn partition(&self, topic: &str, partition: i32, from: i64, end: i64) -> Result<Partition<'_>, Failed> {
        if from < end {
            let mut list = TopicPartitionList::with_capacity(1);
            list.add_partition_offset(topic, partition, Offset::Offset(from)).map_err(|e| e.to_string())?;
            self.client.assign(&list).map_err(|e| e.to_string())?;
        }
        Ok(Partition { reader: self, name: topic.into(), partition, next: from, end })
    }

    /// What was replayed of a topic's partitions, as far as any was.
    pub(super) fn replayed(&self, topic: &str, partitions: &[i32]) -> Result<BTreeMap<i32, Replayed>, Failed> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(topic, *partition);
        }
        let committed = self.client.committed_offsets(list, ANSWER_TIMEOUT).map_err(|e| self.unknown(topic, &e))?;
        let mut found = BTreeMap::new();
        for element in committed.elements() {
            element.error().map_err(|e| self.unknown(topic, &e))?;
            let Offset::Offset(position) = element.offset() else { continue };
            let replayed = Replayed::parse(position, element.metadata()).ok_or_else(|| {
                format!(
                    "what was replayed of `{topic}` partition {} is not readable: group `{}` has the offset {position} \
                     there, with {:?}, which is not of this program; delete that offset, or the group",
                    element.partition(),
                    self.group,
                    element.metadata()
                )
            })?;
            found.insert(element.partition(), replayed);
        }
        Ok(found)
    }

    fn unknown(&self, topic: &str, error: &KafkaError) -> Failed {
        format!(
            "what was replayed of `{topic}` is not known: the offsets of group `{}` cannot be read: {error}",
            self.group
        )
    }

    /// Keeps what was replayed of a partition.
    pub(super) fn commit(&self, topic: &str, partition: i32, replayed: &Replayed) -> Result<(), Failed> {
        let mut list = TopicPartitionList::with_capacity(1);
        let failed = |error: KafkaError| {
            format!(
                "what was replayed of `{topic}` partition {partition} cannot be kept as the offsets of group `{}`: \
                 {error}; the last letters will be replayed again",
                self.group
            )
        };
        let mut element = list.add_partition(topic, partition);
        element.set_offset(Offset::Offset(replayed.position())).map_err(failed)?;
        element.set_metadata(replayed.text());
        self.client.commit(&list, CommitMode::Sync).map_err(failed)
    }
}

/// A partition that is being read.
pub(super) struct Partition<'r> {
    reader: &'r Reader,
    name: Arc<str>,
    partition: i32,
    /// The offset that comes next.
    next: i64,
    end: i64,
}

impl Partition<'_> {
    /// The next message; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<RawRecord>, Failed> {
        let until = Instant::now() + SILENCE_MAX;
        while self.next < self.end {
            match self.reader.client.poll(Duration::from_millis(100)) {
                None if Instant::now() > until => {
                    let seconds = SILENCE_MAX.as_secs();
                    return Err(format!(
                        "nothing has come of `{}` partition {} from offset {} for {seconds} s, and it has more: look \
                         whether its broker is there, and whether this account may read it",
                        self.name, self.partition, self.next
                    ));
                }
                None => {}
                Some(Ok(message)) => {
                    // What was under way of the partition before.
                    if message.topic() != &*self.name || message.partition() != self.partition {
                        continue;
                    }
                    self.next = message.offset() + 1;
                    if message.offset() < self.end {
                        return Ok(Some(record_of(self.name.clone(), &message)));
                    }
                }
                // Beyond the last message there may be offsets without one.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if partition == self.partition {
                        self.next = self.end;
                    }
                }
                Some(Err(error)) => {
                    return Err(format!("`{}` partition {} cannot be read: {error}", self.name, self.partition));
                }
            }
        }
        Ok(None)
    }

    /// The next messages, so many at most and of about so many bytes; none at the end.
    pub(super) fn chunk(&mut self, messages_max: usize, bytes_max: usize) -> Result<Vec<RawRecord>, Failed> {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while chunk.len() < messages_max && bytes < bytes_max {
            let Some(record) = self.next()? else { break };
            bytes += record.weight_bytes();
            chunk.push(record);
        }
        Ok(chunk)
    }
}

impl Drop for Partition<'_> {
    fn drop(&mut self) {
        // What was not read is not needed.
        let _ = self.reader.client.unassign();
    }
}
