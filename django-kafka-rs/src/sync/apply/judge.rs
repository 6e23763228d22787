//! Whose failure it is: the message's, or the database's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use diesel::RunQueryDsl;
use diesel::result::Error;

use super::super::plan::Kind;
use super::super::table::Table;
use super::super::write::{Write, WriteError};
use super::item::Item;
use crate::db::failure::{self, Failure};
use crate::db::{DbConn, transaction};
use crate::error::ConsumeError;

/// A failure inside a transaction that is still usable.
#[derive(Debug)]
pub(super) struct Refusal {
    pub error: ConsumeError,
    pub nature: Nature,
}

/// How sure it is that a failure is the message's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Nature {
    /// It is.
    Own,
    /// The user's code failed, or a trigger's: it is, unless the database takes no writes at all.
    Suspect,
    /// The database said this, which names neither the row nor itself as the cause.
    Unknown(String),
}

/// A failure, judged.
pub(super) enum Judged {
    Refused(Refusal),
    Outage(Outage),
}

/// The database cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outage {
    pub reason: String,
    /// Another transaction was in the way: this one may pass if it is run again at once.
    pub at_once: bool,
}

impl From<String> for Outage {
    fn from(reason: String) -> Self {
        Self { reason, at_once: false }
    }
}

/// Whether a failure is an outage.
pub(super) fn outage(error: &Error) -> Option<Outage> {
    let failure = failure::classify(error);
    let at_once = failure == Failure::Conflict;
    failure.outage(error).map(|reason| Outage { reason, at_once })
}

/// The failure of a statement of ours: it belongs to no message, so nothing can be done but to wait for the database.
pub(super) fn of_ours(error: &Error) -> Outage {
    outage(error).unwrap_or_else(|| format!("a statement of the runtime's own failed: {error}").into())
}

/// Judges a failed statement.
pub(super) fn of_write(error: WriteError, write: &Write<'_>) -> Judged {
    let Write { table, lookup, kind, .. } = *write;
    let nature = match &error {
        WriteError::Ambiguous => Nature::Own,
        WriteError::Database(error) => match nature(error) {
            Ok(Nature::Unknown(_)) if table.raises => Nature::Suspect,
            Ok(nature) => nature,
            Err(outage) => return Judged::Outage(outage),
        },
    };
    Judged::Refused(Refusal { error: error.explain(table, lookup, kind), nature })
}

/// Judges a failed `after` function: by the database error in it, where there is one.
pub(super) fn of_hook(error: ConsumeError) -> Judged {
    let mut next = Some(error.error());
    while let Some(source) = next {
        if let Some(database) = source.downcast_ref::<Error>() {
            return match nature(database) {
                Ok(nature) => Judged::Refused(Refusal { error, nature }),
                Err(outage) => Judged::Outage(outage),
            };
        }
        next = source.source();
    }
    Judged::Refused(Refusal { error, nature: Nature::Suspect })
}

/// What a database error says of its cause; `Err`: it is an outage.
fn nature(error: &Error) -> Result<Nature, Outage> {
    match (outage(error), failure::classify(error)) {
        (Some(outage), _) => Err(outage),
        (None, Failure::Unknown) => Ok(Nature::Unknown(error.to_string())),
        (None, _) => Ok(Nature::Own),
    }
}

/// The failure of a commit as that of the only message in it: a constraint that is checked no earlier.
pub(super) fn of_commit(error: Error, table: &Table, item: &Item) -> ConsumeError {
    WriteError::Database(error).explain(table, item.lookup, item.kind)
}

/// The same where the batch has more than one message and none is known to be the cause.
pub(super) fn of_transaction(error: &Error) -> ConsumeError {
    format!("the transaction cannot be committed: {error}").into()
}

/// Writes to a table of our own and takes it back: whether the database takes writes.
///
/// # Errors
/// It does not, and why.
pub(super) fn canary(conn: &mut DbConn) -> Result<(), Outage> {
    let depth = transaction::depth(conn).map_err(|error| error.to_string())?;
    transaction::savepoint(conn).map_err(|error| error.to_string())?;
    let insert = diesel::sql_query("INSERT INTO django_kafka_canary DEFAULT VALUES");
    let written = match &mut *conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => insert.execute(pg),
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(sqlite) => insert.execute(sqlite),
    };
    transaction::rollback_to(conn, depth).map_err(|error| error.to_string())?;
    match written.map_err(|error| outage(&error)) {
        // Without the table (migrations that were not run) nothing is learned.
        Ok(_) | Err(None) => Ok(()),
        Err(Some(outage)) => Err(outage),
    }
}

/// How often an unknown failure is tried again in place.
pub(super) const RETRIES: u32 = 3;

/// What a topic remembers from batch to batch.
#[derive(Debug)]
pub(super) struct Memory {
    chunk: AtomicUsize,
    doubt: Mutex<Option<Doubt>>,
}

/// The last message failed with an unknown error.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Doubt {
    key: Option<Vec<u8>>,
    said: String,
}

impl Default for Memory {
    fn default() -> Self {
        Self { chunk: AtomicUsize::new(Self::CHUNK_MAX), doubt: Mutex::new(None) }
    }
}

impl Memory {
    const CHUNK_MAX: usize = 1 << 20;
    const CHUNK_MIN: usize = 8;

    /// How many messages to try at once: all, unless there were failures lately.
    pub(super) fn chunk(&self) -> usize {
        self.chunk.load(Ordering::Relaxed)
    }

    /// Adapts the chunks to the rate of failures. With one failing message in n, chunks of about n/3 lose least:
    /// most of them hold none, and those that hold one are replayed cheaply.
    pub(super) fn learn(&self, messages: usize, failures: usize) {
        let chunk = match messages.checked_div(failures) {
            Some(each) => (each / 3).max(Self::CHUNK_MIN),
            None => (self.chunk() * 2).min(Self::CHUNK_MAX),
        };
        self.chunk.store(chunk, Ordering::Relaxed);
    }

    /// A message was applied: the database is not the cause of what failed before.
    pub(super) fn trust(&self) {
        let mut doubt = self.doubt();
        if doubt.is_some() {
            *doubt = None;
        }
    }

    /// Whether a message of another key failed with this very error last; remembers this one.
    pub(super) fn repeated(&self, key: Option<&[u8]>, said: &str) -> bool {
        let mut doubt = self.doubt();
        let repeated = doubt.as_ref().is_some_and(|last| last.said == said && last.key.as_deref() != key);
        *doubt = Some(Doubt { key: key.map(<[u8]>::to_vec), said: said.to_owned() });
        repeated
    }

    fn doubt(&self) -> MutexGuard<'_, Option<Doubt>> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happened to a row, for `after`. `None`: its deletion came too late, so it was neither deleted nor written.
pub(super) fn applied(kind: Kind) -> Option<super::Applied> {
    match kind {
        Kind::Upsert(_) | Kind::Part { .. } => Some(super::Applied::Upserted),
        Kind::Delete => Some(super::Applied::Deleted),
        Kind::Reset(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_shrink_with_failures_and_grow_without() {
        let memory = Memory::default();
        assert_eq!(memory.chunk(), Memory::CHUNK_MAX);
        memory.learn(500, 5);
        assert_eq!(memory.chunk(), 33);
        memory.learn(500, 0);
        assert_eq!(memory.chunk(), 66);
        memory.learn(500, 500);
        assert_eq!(memory.chunk(), Memory::CHUNK_MIN);
    }

    #[test]
    fn an_error_repeats_with_another_key_and_no_success_in_between() {
        let memory = Memory::default();
        assert!(!memory.repeated(Some(b"1"), "no"));
        assert!(!memory.repeated(Some(b"1"), "no"));
        assert!(memory.repeated(Some(b"2"), "no"));
        assert!(!memory.repeated(Some(b"3"), "never"));
        memory.trust();
        assert!(!memory.repeated(Some(b"4"), "never"));
    }

    #[test]
    fn a_hooks_error_is_judged_by_the_database_error_in_it() {
        use diesel::result::DatabaseErrorKind as Kind;
        let error = |kind, text: &str| Error::DatabaseError(kind, Box::new(text.to_owned()));
        let of = |error: ConsumeError| match of_hook(error) {
            Judged::Refused(refusal) => Ok(refusal.nature),
            Judged::Outage(reason) => Err(reason),
        };
        assert_eq!(of("mine".into()), Ok(Nature::Suspect));
        assert_eq!(of(error(Kind::CheckViolation, "c").into()), Ok(Nature::Own));
        assert_eq!(of(error(Kind::Unknown, "what").into()), Ok(Nature::Unknown("what".to_owned())));
        assert!(of(error(Kind::Unknown, "disk I/O error").into()).is_err());

        #[derive(Debug, thiserror::Error)]
        #[error("wrapped")]
        struct Wrapped(#[source] Error);
        assert!(of(Wrapped(error(Kind::Unknown, "database is locked")).into()).is_err());
    }
}
