//! What an engine is told, and by whom.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;

use tokio::sync::oneshot;

use super::lane::{Load, Stop};
use super::tally::Tally;
use crate::record::RawRecord;

/// A topic's partition.
pub(crate) type PartitionId = (Arc<str>, i32);

/// Offsets to store: behind the last message handled.
pub(crate) type Positions = HashMap<PartitionId, i64>;

/// Everything that can happen to an engine.
#[derive(Debug)]
pub(crate) enum Event {
    /// From the poll thread: messages, each partition's in order.
    Records(Vec<Arc<RawRecord>>),
    /// From the poll thread, which waits for the answer: whether all before this has been taken, and there is room for
    /// more.
    Taken(std_mpsc::SyncSender<()>),
    /// From the poll thread, which waits for the answer: it is about to be assigned partitions, and asks where they
    /// stand in the database. No answer: the consumer ends.
    Assigning(std_mpsc::SyncSender<Positions>),
    /// From the poll thread: partitions are ours, each with the offset that reading starts from, where it is known.
    Assigned(Vec<(PartitionId, Option<i64>)>),
    /// From the poll thread, which waits for the answer: partitions go to somebody else. The answer says that nothing
    /// of theirs is under way any more, and that what was handled is stored.
    Revoked { partitions: Vec<PartitionId>, done: std_mpsc::SyncSender<()> },
    /// From the poll thread: partitions are somebody else's already.
    Lost(Vec<PartitionId>),
    /// From the poll thread, where ends are asked for: a partition has no more for now.
    EndOfPartition(PartitionId),
    /// From the poll thread: a subscribed topic is not there.
    UnknownTopic,
    /// From the poll thread: it did not poll for longer than the session lasts. Partitions may be somebody else's.
    Lapsed,
    /// From librdkafka: the client is of no more use.
    Fatal(String),
    /// From a batch's task.
    Finished(BatchReport),
    /// From the handle: drain and stop.
    Shutdown,
    /// From the handle: how things stand.
    Snapshot(oneshot::Sender<Snapshot>),
}

/// What came of a batch.
#[derive(Debug)]
pub(crate) struct BatchReport {
    pub(crate) partition: PartitionId,
    /// The lane's generation: a lane that was revoked and assigned again takes no reports of its former self.
    pub(crate) generation: u64,
    /// How many messages from the batch's start are done.
    pub(crate) handled: usize,
    /// How many of them were sent to the dead letter topic.
    pub(crate) dead_lettered: usize,
    /// How many of them were sent to retry topics.
    pub(crate) retried: usize,
    /// How many of them were skipped because a newer message of their key was there.
    pub(crate) superseded: usize,
    /// Where the partition stands, if the database says so.
    pub(crate) reached: Option<i64>,
    pub(crate) stop: Option<Stop>,
    /// What is told of it.
    pub(crate) tally: Tally,
}

/// How an engine stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// Each partition's state.
    pub(crate) lanes: HashMap<PartitionId, LaneSnapshot>,
    /// The group has said which partitions it has, be it none.
    pub(crate) is_assigned: bool,
    /// Nothing new begins any more.
    pub(crate) is_draining: bool,
}

/// How a lane stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneSnapshot {
    /// The newest offset delivered.
    pub(crate) delivered: Option<i64>,
    /// Behind the newest message handled.
    pub(crate) position: Option<i64>,
    /// Nothing is being handled, and what waits waits for a time to come.
    pub(crate) is_settled: bool,
    /// What is in the buffer.
    pub(crate) buffered: Load,
    /// The first of them: its offset, and its time where it bears one, in milliseconds since 1970.
    pub(crate) head: Option<(i64, Option<i64>)>,
    /// How often it has failed in place.
    pub(crate) failures: u32,
}
