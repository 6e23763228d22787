//! The tracker's own consumer: a partition's messages → the latest offset of each of their keys.

use std::sync::Arc;

use super::Watermarks;
use super::{decide, store};
use crate::context::Context;
use crate::db::{Database, DatabaseError};
use crate::record::RawRecord;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Followed {
    /// The table has it.
    Done,
    /// The partition is somebody else's by now.
    NotOurs,
    /// The database cannot be used, and why.
    Outage(String),
}

/// Why a transaction was not committed.
enum Fault {
    NotOurs,
    Database(String),
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error.to_string())
    }
}

impl From<diesel::result::Error> for Fault {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.to_string())
    }
}

/// Notes a batch of one partition's messages. Blocks.
///
/// Rows only move forward. Where some did not, the batch is read again after a restart, or the topic was created anew and
/// its offsets began again: the partition's end tells the two apart.
pub(crate) fn follow(records: &[Arc<RawRecord>], watermarks: &Watermarks, cx: &Context) -> Followed {
    let (Some(first), Some(database)) = (records.first(), cx.database()) else { return Followed::Done };
    let (topic, partition) = (&*first.topic, first.partition);
    let seen = decide::latest(records);
    if seen.is_empty() {
        return Followed::Done;
    }
    let note = |high| note(database, cx, topic, partition, &seen, high);
    let noted = note(None).and_then(|moved| {
        if moved == seen.len() {
            return Ok(());
        }
        match watermarks.high(topic, partition) {
            Ok(high) => note(Some(high)).map(drop),
            Err(why) => {
                tracing::warn!(topic, partition, "the broker does not say where the partition ends: {why}");
                Ok(())
            }
        }
    });
    match noted {
        Ok(()) => Followed::Done,
        Err(Fault::NotOurs) => Followed::NotOurs,
        Err(Fault::Database(why)) => Followed::Outage(why),
    }
}

fn note(
    database: &Database,
    cx: &Context,
    topic: &str,
    partition: i32,
    seen: &[decide::Seen<'_>],
    high: Option<i64>,
) -> Result<usize, Fault> {
    database.write_transaction(|conn| {
        let moved = store::note(conn, topic, partition, seen, high)?;
        // The last moment before the commit.
        if cx.may_commit() { Ok(moved) } else { Err(Fault::NotOurs) }
    })
}
