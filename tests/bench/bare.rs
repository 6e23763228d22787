//! The least that one can do with messages: poll, and store the offset.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;

use crate::Failure;
use crate::by_hand::{Events, config};

/// `servers topic group partitions`: runs to the topic's end.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let [servers, topic, group, partitions] = arguments else {
        return Err("bare-poll servers topic group partitions".into());
    };
    let partitions: usize = partitions.parse()?;
    let consumer: BaseConsumer<Events> = config(servers, group).create_with_context(Events)?;
    consumer.subscribe(&[topic])?;
    let mut ended = BTreeSet::new();
    while ended.len() < partitions {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => consumer.store_offset(topic, message.partition(), message.offset())?,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
    }
    Ok(consumer.commit_consumer_state(CommitMode::Sync)?)
}
