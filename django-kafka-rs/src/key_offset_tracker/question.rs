//! What a batch asks the tracker about its failed messages.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::r2d2::R2D2Connection as _;

use super::Watermarks;
use super::decide::{self, Latest};
use super::store;
use crate::db::{Database, DatabaseError};
use crate::record::RawRecord;

/// What the tracker is asked with: cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Tracker {
    /// A connection of its own: questions come from within transactions that hold one of the pool, and all of the
    /// pool's may be held so.
    database: Database,
    watermarks: Arc<Watermarks>,
}

impl Tracker {
    /// `database`: with a pool that nothing else uses.
    pub(crate) fn new(database: Database, watermarks: Arc<Watermarks>) -> Self {
        Self { database, watermarks }
    }

    /// Whether the table is there.
    ///
    /// # Errors
    /// It is not, or the database is away.
    pub(crate) fn look(database: &Database) -> Result<(), DatabaseError> {
        let mut conn = database.writer()?;
        store::look(&mut conn).map_err(Into::into)
    }
}

/// The questions of one batch. The table is read once, for all keys of the batch, when the first is asked.
#[derive(Debug)]
pub(crate) struct Question {
    tracker: Tracker,
    records: Arc<[Arc<RawRecord>]>,
    latest: Option<HashMap<Vec<u8>, Latest>>,
    /// Where partitions end, as far as asked; `None`: the broker did not say.
    highs: HashMap<i32, Option<i64>>,
}

impl Question {
    /// `records`: of one topic, by where they were first read.
    pub(crate) fn new(tracker: Tracker, records: Arc<[Arc<RawRecord>]>) -> Self {
        Self { tracker, records, latest: None, highs: HashMap::new() }
    }

    /// The later offset of the message's key, where there is one. Blocks.
    ///
    /// # Errors
    /// The database cannot be used, and why. No message is at fault.
    pub(crate) fn later_offset(&mut self, index: usize) -> Result<Option<i64>, String> {
        let record = self.records[index].clone();
        let Some(key) = decide::tracked_key(&record) else { return Ok(None) };
        let origin = record.origin();
        if self.latest.is_none() {
            self.latest = Some(self.read(&origin.topic)?);
        }
        let found = self.latest.as_ref().and_then(|latest| latest.get(key)).copied();
        let Some(found) = found.filter(|latest| decide::may_be_later(*latest, origin.partition, origin.offset)) else {
            return Ok(None);
        };
        // Where the end is not known, the message is taken for a current one: it is retried, and asked about again.
        let Some(high) = self.high(&origin.topic, origin.partition) else { return Ok(None) };
        let later = decide::later_offset(found, origin.partition, origin.offset, high);
        if later.is_none() {
            tracing::debug!(
                topic = &*origin.topic,
                partition = origin.partition,
                tracked = found.offset,
                high,
                "the tracked offset is of an earlier life of the topic"
            );
        }
        Ok(later)
    }

    fn read(&self, topic: &str) -> Result<HashMap<Vec<u8>, Latest>, String> {
        let of_topic = self.records.iter().filter(|record| *record.origin().topic == *topic);
        let mut keys: Vec<&[u8]> = of_topic.filter_map(|record| decide::tracked_key(record)).collect();
        keys.sort_unstable();
        keys.dedup();
        // No transaction: on SQLite, that would wait for the one from within which this is asked.
        let read = || -> Result<_, (DatabaseError, bool)> {
            let mut conn = self.tracker.database.writer().map_err(|error| (error, false))?;
            store::read(&mut conn, topic, &keys).map_err(|error| (error.into(), conn.is_broken()))
        };
        let rows = match read() {
            // It lay idle while the server went away; the next one is new.
            Err((_, true)) => read(),
            done => done,
        };
        rows.map(|rows| rows.into_iter().collect())
            .map_err(|(error, _)| format!("the key offset tracker's table cannot be read: {error}"))
    }

    fn high(&mut self, topic: &str, partition: i32) -> Option<i64> {
        *self.highs.entry(partition).or_insert_with(|| match self.tracker.watermarks.high(topic, partition) {
            Ok(high) => Some(high),
            Err(why) => {
                tracing::warn!(
                    topic,
                    partition,
                    "the broker does not say where the partition ends, so that messages which a newer one has \
                     superseded are not told from others, and are retried: {why}"
                );
                None
            }
        })
    }
}
