//! What the transactions of a batch put into the books: positions, messages that leave, and what is settled.

use std::sync::Arc;

use super::super::batch::{BatchEnvironment, outgoing_of};
use super::{Entry, Leaving, Trouble};
use crate::db::DbConn;
use crate::error::ConsumeError;
use crate::record::RawRecord;
use crate::retry::policy::Decision;
use crate::sync::{Covered, Refused};

/// Where the partition stands when the first `count` messages are done; `end` after the last.
pub(super) fn position_after(records: &[Arc<RawRecord>], count: usize, end: i64) -> i64 {
    records.get(count).map_or(end, |record| record.offset)
}

/// The part of the books in a model topic's transactions.
pub(in crate::consumer) struct Book {
    pub(super) entry: Entry,
    /// Where the partition stands when all messages are done.
    end: i64,
    /// How many of them committed transactions cover.
    covered: usize,
    env: BatchEnvironment,
    pub(super) trouble: Option<Trouble>,
}

impl Book {
    /// Empty, for a partition that stands at `end` when all messages are done.
    pub(super) fn new(entry: Entry, end: i64, env: BatchEnvironment) -> Self {
        Self { entry, end, covered: 0, env, trouble: None }
    }

    /// Writes what the transaction covers; `decided` says what becomes of a failed message, and its attempts.
    pub(in crate::consumer) fn write(
        &mut self,
        conn: &mut DbConn,
        records: &[Arc<RawRecord>],
        covered: &Covered<'_>,
        decided: impl Fn(usize) -> (Decision, u32),
    ) -> Result<(), Refused> {
        self.entry.discard();
        let mut failed = covered.failed.iter().peekable();
        for (index, record) in records.iter().enumerate().take(covered.upto).skip(self.covered) {
            match failed.next_if(|(failed, _)| *failed == index) {
                Some((_, error)) => {
                    let (decision, attempts) = decided(index);
                    note_failed(&mut self.entry, record, error, attempts, decision, &self.env);
                }
                None if record.retried.is_some() => self.entry.settle(record.origin()),
                None => {}
            }
        }
        self.entry.reach(position_after(records, covered.upto, self.end));
        self.entry.write(conn).map_err(|trouble| match trouble {
            Trouble::Database(error) => Refused::Database(error),
            trouble => {
                let refused = Refused::NotOurs(format!("{trouble:?}"));
                self.trouble = Some(trouble);
                refused
            }
        })
    }

    /// Whether it has refused a commit for a reason of its own.
    pub(in crate::consumer) fn refused(&self) -> bool {
        self.trouble.is_some()
    }

    pub(in crate::consumer) fn committed(&mut self, upto: usize) {
        self.entry.committed();
        self.covered = upto;
    }
}

/// Notes that a message is done with, or waits for rows: then the store has it.
pub(super) fn done_with(entry: &mut Entry, record: &RawRecord, position: i64) {
    entry.reach(position);
    if record.retried.is_some() {
        entry.settle(record.origin());
    }
}

/// Notes what becomes of a message that failed and is not held back.
pub(super) fn note_failed(
    entry: &mut Entry,
    record: &RawRecord,
    error: &ConsumeError,
    attempts: u32,
    decision: Decision,
    env: &BatchEnvironment,
) {
    if let Some(message) = outgoing_of(record, error, attempts, decision, env) {
        entry.leave(Leaving { offset: record.offset, message });
    }
    if record.retried.is_some() && matches!(decision, Decision::DeadLetter | Decision::Skip | Decision::Superseded) {
        entry.settle(record.origin());
    }
}
