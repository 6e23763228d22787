//! What a batch writes in the books: in each of its transactions, what came since the last one.

use std::sync::Arc;

use super::store::{self, Leaving};
use super::{Share, Standing};
use crate::db::{DatabaseError, DbConn, failure};
use crate::record::Origin;

/// Why nothing could be written.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Somebody else has claimed the partition.
    Fenced,
    /// A copy of one of the messages, in another partition, was done with first.
    Repeated,
    /// The partition may be somebody else's.
    NotOurs,
    /// The database is away, and why.
    Outage(String),
    /// A statement failed.
    Database(diesel::result::Error),
}

impl Trouble {
    /// Why the partition waits for the database, where it does.
    pub(crate) fn outage(&self) -> Option<String> {
        match self {
            Self::Fenced | Self::Repeated | Self::NotOurs => None,
            Self::Outage(reason) => Some(reason.clone()),
            Self::Database(error) => Some(
                failure::classify(error)
                    .outage(error)
                    .unwrap_or_else(|| format!("a statement of the runtime's own failed: {error}")),
            ),
        }
    }
}

impl From<diesel::result::Error> for Trouble {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error)
    }
}

impl From<DatabaseError> for Trouble {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Query(error) => Self::Database(error),
            DatabaseError::Settings(reason) | DatabaseError::Unavailable(reason) => Self::Outage(reason),
        }
    }
}

/// What one batch has done. Nothing of it counts before it is written and that is committed.
pub(crate) struct Entry {
    share: Arc<Share>,
    /// As committed.
    standing: Standing,
    pending: Pending,
    /// Committed, and to be delivered now.
    leaving: Vec<Leaving>,
}

/// What was pending at some moment.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    position: Option<i64>,
    settled: usize,
    leaving: usize,
}

#[derive(Default)]
struct Pending {
    position: Option<i64>,
    settled: Vec<Origin>,
    leaving: Vec<Leaving>,
}

impl Entry {
    pub(crate) fn new(share: Arc<Share>) -> Self {
        let standing = share.state().standing;
        Self { share, standing, pending: Pending::default(), leaving: Vec::new() }
    }

    /// Everything before `position` is done.
    pub(crate) fn reach(&mut self, position: i64) {
        debug_assert!(position >= self.pending.position.unwrap_or(self.standing.offset), "a position goes back");
        self.pending.position = Some(position);
    }

    /// A message that came through a retry topic is done with.
    pub(crate) fn settle(&mut self, origin: Origin) {
        self.pending.settled.push(origin);
    }

    /// A message leaves.
    pub(crate) fn leave(&mut self, leaving: Leaving) {
        self.pending.leaving.push(leaving);
    }

    /// What is pending now, to come back to.
    pub(crate) fn mark(&self) -> Mark {
        let Pending { position, settled, leaving } = &self.pending;
        Mark { position: *position, settled: settled.len(), leaving: leaving.len() }
    }

    /// Forgets what became pending since.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.pending.position = mark.position;
        self.pending.settled.truncate(mark.settled);
        self.pending.leaving.truncate(mark.leaving);
    }

    /// Whether there is something to write.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.position.is_some()
    }

    /// Forgets what is not committed: it is gathered anew.
    pub(crate) fn discard(&mut self) {
        self.pending = Pending::default();
    }

    /// How far the partition is handled, for certain.
    pub(crate) fn position(&self) -> i64 {
        self.standing.offset
    }

    /// What is committed and has not been taken yet.
    pub(crate) fn take_leaving(&mut self) -> Vec<Leaving> {
        std::mem::take(&mut self.leaving)
    }

    /// Writes what is pending, as the last thing in a transaction.
    ///
    /// # Errors
    /// The transaction is not to be committed.
    pub(crate) fn write(&self, conn: &mut DbConn) -> Result<(), Trouble> {
        let Pending { position: Some(position), settled, leaving } = &self.pending else { return Ok(()) };
        let Share { ledger, id, .. } = &*self.share;
        let (reader, group) = (&ledger.inner.reader, &ledger.inner.group);
        if !settled.is_empty() && !store::settle(conn, group, settled)? {
            return Err(Trouble::Repeated);
        }
        if !leaving.is_empty() {
            store::put_outgoing(conn, reader, id, leaving)?;
        }
        // The last lock that is taken, and the last thing that is looked at.
        if store::advance(conn, reader, id, self.standing, *position)? { Ok(()) } else { Err(Trouble::Fenced) }
    }

    /// What was written is committed.
    pub(crate) fn committed(&mut self) {
        let Pending { position, leaving, .. } = std::mem::take(&mut self.pending);
        let Some(position) = position else { return };
        self.standing.offset = position;
        self.share.state().standing = self.standing;
        self.leaving.extend(leaving);
    }

    /// Writes what is pending in a transaction of its own. Blocks.
    pub(crate) fn write_alone(&mut self, may_commit: impl Fn() -> bool) -> Result<(), Trouble> {
        if !self.is_pending() {
            return Ok(());
        }
        self.share.ledger.inner.database.write_transaction(|conn| {
            self.write(conn)?;
            if may_commit() { Ok(()) } else { Err(Trouble::NotOurs) }
        })?;
        self.committed();
        Ok(())
    }
}
