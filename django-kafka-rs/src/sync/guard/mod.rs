//! The ordering guard: a message that comes late, because it failed and was retried or replayed, overwrites nothing that
//! newer messages of its key wrote meanwhile.
//!
//! A key has a row in `django_kafka_key_version` from the moment when one of its messages fails and leaves. The row is
//! written in the transaction that leaves the message behind, and commits before the message is sent anywhere. From
//! then on each transaction that has messages of the key reads the row first, and locks it; later successes are noted in
//! it; and what a late message may still do follows from it (`state`, pure). `keys` is a transaction's part of the
//! table, `store` the table itself.
//!
//! Most keys never have a row, and most topics have none at all: that costs one query in a transaction.
//!
//! What it cannot know:
//! - Keys are the messages' key bytes, within one partition of the topic where they were first read. Messages without a
//!   key are not guarded, and a key that changes its partition (more partitions were added) starts anew.
//! - A topic that was deleted and created anew under its name counts its offsets from 0 again, and what is stored of the
//!   old one would make its messages look old. What is known of a key is forgotten where a message of the topic itself has
//!   an older offset and was made later, or where the topic is not that long.

mod keys;
mod state;
mod store;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use diesel::QueryResult;

pub(crate) use self::keys::{Draft, EndOf, Keys};
pub(crate) use self::state::{Ruling, Superseded};
use crate::clock::Clock;
use crate::db::DbConn;

/// Rows stay at least this long: brokers keep messages for a week where nobody says otherwise, retry topics included,
/// and a retry may come as long as it is kept.
const KEPT_MIN: Duration = Duration::from_secs(8 * 24 * 60 * 60);
/// How long a partition's end is believed: long enough that a topic which is read again is not asked for it with each
/// batch.
const END_KNOWN_MS: i64 = 10 * 1_000;
/// How often rows are purged.
const PURGE_EVERY_MS: i64 = 10 * 60 * 1_000;

/// The guard of a topic's messages as one group reads them.
#[derive(Debug)]
pub(crate) struct Guard {
    /// The group that reads the topic itself; its retry topics' group shares the rows.
    group: Arc<str>,
    kept_ms: i64,
    clock: Clock,
    purged_ms: AtomicI64,
    ends: Mutex<HashMap<(Arc<str>, i32), End>>,
}

/// Where a partition ends.
#[derive(Debug, Clone, Copy)]
struct End {
    asked_ms: i64,
    offset: Option<i64>,
}

impl Guard {
    /// `horizon`: from a message's first failure to its last retry.
    pub(crate) fn new(group: Arc<str>, horizon: Duration, clock: Clock) -> Self {
        let kept = horizon.saturating_mul(2).max(KEPT_MIN);
        let kept_ms = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        Self { group, kept_ms, clock, purged_ms: AtomicI64::new(0), ends: Mutex::default() }
    }

    /// When a row that is written now may go.
    fn purge_after(&self) -> NaiveDateTime {
        time(self.clock.now_ms().saturating_add(self.kept_ms))
    }

    /// Deletes rows of the topic whose time has come, now and then.
    fn purge(&self, conn: &mut DbConn, topic: &str) -> QueryResult<()> {
        let (now, last) = (self.clock.now_ms(), self.purged_ms.load(Ordering::Relaxed));
        let due = now.saturating_sub(last) >= PURGE_EVERY_MS;
        if !due || self.purged_ms.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Ok(());
        }
        let purged = store::purge(conn, (&self.group, topic), time(now))?;
        tracing::debug!(topic, purged, "rows of the ordering guard went by their age");
        Ok(())
    }

    /// Where a partition ends.
    fn end(&self, topic: &Arc<str>, partition: i32, end_of: EndOf<'_>) -> Option<i64> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now_ms();
        match ends.get(&(topic.clone(), partition)) {
            Some(end) if now.saturating_sub(end.asked_ms) < END_KNOWN_MS => end.offset,
            _ => {
                let end = End { asked_ms: now, offset: end_of(topic, partition) };
                ends.insert((topic.clone(), partition), end);
                end.offset
            }
        }
    }

    /// What is wrong with the guard's table, if anything.
    pub(crate) fn mistake(conn: &mut DbConn) -> QueryResult<Option<String>> {
        Ok((!store::exists(conn)?).then(|| {
            "table `django_kafka_key_version`, which guards the order of each key's messages, does not exist; run \
             `migrate`"
                .to_owned()
        }))
    }
}

/// Whole seconds, so that times compare alike in every database.
fn time(ms: i64) -> NaiveDateTime {
    DateTime::from_timestamp(ms.div_euclid(1_000), 0).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC).naive_utc()
}
