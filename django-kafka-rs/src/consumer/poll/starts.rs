//! Where assigned partitions are read from when offsets are in the database: known before they are assigned, so that
//! nothing has to be sought.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::super::event::{Event, PartitionId, Positions};
use super::super::ledger::{Reset, Watermarks, first_position, out_of_range};
use super::{ANSWER_TIMEOUT, PollContext, ids};

/// How often waiting says that the process lives.
const SLICE: Duration = Duration::from_millis(100);
/// How long to wait before a broker that did not answer is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Where partitions are read from.
pub(crate) struct Starts {
    /// The client's group.
    pub(crate) group: Arc<str>,
    /// What the user says of partitions without an offset. The client itself is told to give an error.
    pub(crate) reset: Reset,
    /// The poll thread is to end.
    pub(crate) stop: Arc<AtomicBool>,
    /// What each partition was last assigned with.
    pub(crate) assigned: Mutex<Positions>,
}

/// Why there is no answer.
enum NoStart {
    /// The consumer ends.
    Ending,
    /// There is an answer, and it is no.
    Refused(String),
}

impl Starts {
    /// Sets the offset that each of these partitions is to be read from. Where that fails they have none, and the
    /// consumer ends.
    pub(super) fn set(
        &self,
        context: &PollContext,
        consumer: &BaseConsumer<PollContext>,
        partitions: &mut TopicPartitionList,
    ) {
        match self.positions(context, consumer, &ids(partitions)) {
            Ok(positions) => {
                for ((topic, partition), position) in &positions {
                    // Fails for offsets that no partition has: then the engine finds none.
                    let _ = partitions.set_partition_offset(topic, *partition, Offset::Offset(*position));
                }
                self.assigned().extend(positions);
            }
            Err(NoStart::Ending) => {}
            Err(NoStart::Refused(why)) => {
                let _ = context.events.blocking_send(Event::Fatal(why));
            }
        }
    }

    fn positions(
        &self,
        context: &PollContext,
        consumer: &BaseConsumer<PollContext>,
        ids: &[PartitionId],
    ) -> Result<Positions, NoStart> {
        let mut positions = self.ask_database(context)?;
        positions.retain(|id, _| ids.contains(id));
        let unknown: Vec<PartitionId> = ids.iter().filter(|id| !positions.contains_key(*id)).cloned().collect();
        if !unknown.is_empty() {
            positions.extend(self.ask_broker(context, consumer, &unknown)?);
        }
        Ok(positions)
    }

    fn ask_database(&self, context: &PollContext) -> Result<Positions, NoStart> {
        let (answer, answered) = std_mpsc::sync_channel(1);
        context.events.blocking_send(Event::Assigning(answer)).map_err(|_| NoStart::Ending)?;
        while !self.stop.load(Ordering::Relaxed) {
            match answered.recv_timeout(SLICE) {
                Ok(positions) => return Ok(positions),
                Err(std_mpsc::RecvTimeoutError::Disconnected) => return Err(NoStart::Ending),
                // As in a revoke: heartbeats go on.
                Err(std_mpsc::RecvTimeoutError::Timeout) => {
                    context.fence.polled();
                }
            }
        }
        Err(NoStart::Ending)
    }

    /// For partitions that the database knows nothing of yet.
    fn ask_broker(
        &self,
        context: &PollContext,
        consumer: &BaseConsumer<PollContext>,
        ids: &[PartitionId],
    ) -> Result<Positions, NoStart> {
        let mut told = false;
        while !self.stop.load(Ordering::Relaxed) {
            let why = match first_offsets(consumer, ids) {
                Ok(found) => {
                    let start = |id: &PartitionId| {
                        let (committed, has) = found[id];
                        Ok((id.clone(), first_position(id, committed, has, self.reset)?))
                    };
                    return ids.iter().map(start).collect::<Result<_, String>>().map_err(NoStart::Refused);
                }
                Err(error) => error.to_string(),
            };
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(
                    group = &*self.group,
                    "the broker does not say where partitions begin; asked again: {why}"
                );
            }
            let until = Instant::now() + ASK_AGAIN_AFTER;
            while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
                context.fence.polled();
                std::thread::sleep(SLICE);
            }
        }
        Err(NoStart::Ending)
    }

    /// What is to be said when the client finds no message at a position.
    pub(super) fn explain(&self, consumer: &BaseConsumer<PollContext>) -> String {
        let assigned = self.assigned().clone();
        let read = consumer.position().ok();
        let position = |id: &PartitionId, assigned: i64| match read
            .as_ref()
            .and_then(|read| read.find_partition(&id.0, id.1))
            .map(|found| found.offset())
        {
            Some(Offset::Offset(offset)) => offset,
            _ => assigned,
        };
        let is_assigned =
            |id: &PartitionId| read.as_ref().is_none_or(|read| read.find_partition(&id.0, id.1).is_some());
        let mut said = Vec::new();
        for (id, begun) in assigned.iter().filter(|(id, _)| is_assigned(id)) {
            let Ok((low, high)) = consumer.fetch_watermarks(&id.0, id.1, ANSWER_TIMEOUT) else { continue };
            let (position, has) = (position(id, *begun), Watermarks { low, high });
            if !has.have(position) {
                said.push(out_of_range(&self.group, id, position, has));
            }
        }
        if said.is_empty() {
            return "the broker has no message at the position of a partition, and cannot say of which one; compare \
                    `django_kafka_offset` with the offsets that the topics have"
                .to_owned();
        }
        said.sort_unstable();
        said.join("\n")
    }

    fn assigned(&self) -> MutexGuard<'_, Positions> {
        self.assigned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the group has committed of each partition, and what the partition has.
fn first_offsets(
    consumer: &BaseConsumer<PollContext>,
    ids: &[PartitionId],
) -> Result<HashMap<PartitionId, (Option<i64>, Watermarks)>, KafkaError> {
    let mut asked = TopicPartitionList::with_capacity(ids.len());
    for (topic, partition) in ids {
        asked.add_partition(topic, *partition);
    }
    let committed = consumer.committed_offsets(asked, ANSWER_TIMEOUT)?;
    let mut found = HashMap::new();
    for id in ids {
        let offset = match committed.find_partition(&id.0, id.1) {
            Some(element) => {
                element.error()?;
                match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                }
            }
            None => None,
        };
        let (low, high) = consumer.fetch_watermarks(&id.0, id.1, ANSWER_TIMEOUT)?;
        found.insert(id.clone(), (offset, Watermarks { low, high }));
    }
    Ok(found)
}
