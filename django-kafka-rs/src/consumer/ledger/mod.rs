//! Offsets in the database (`offsets = "database"`): a batch's position commits with its rows, so that no effect is
//! repeated or lost, whenever the process dies.
//!
//! A partition's row holds its position and an epoch. Who is assigned the partition claims it ([`Share::claim`]): the
//! epoch is raised. Each transaction moves the position on from where it was left, under the epoch of the claim
//! ([`Entry::write`]); where that finds no row, somebody else has claimed the partition, and the transaction is rolled
//! back. So a process that slept past its session can commit nothing, whatever it believes.
//!
//! A message that leaves for a retry or dead letter topic is not produced before the commit: it is written in the
//! transaction, to an outgoing row, and produced after it. A claim delivers what its predecessor left behind. So a hop
//! may be doubled, and never hops a message that is handled by somebody else. What comes through a retry topic is
//! settled, by where it was first read, in the transaction of its effect; a copy that finds itself settled is skipped.
//!
//! `store` has the SQL, `start` decides where reading begins, `entry` is what one batch writes, `run` is a batch from
//! end to end.

pub(in crate::consumer) mod book;
mod entry;
mod headers;
pub(crate) mod run;
mod start;
mod store;

use std::collections::HashSet;
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

pub(crate) use self::entry::{Entry, Trouble};
pub(crate) use self::start::{Reset, Watermarks, first_position, out_of_range};
pub(crate) use self::store::Leaving;
use self::store::Standing;
use super::event::{PartitionId, Positions};
use crate::db::{Database, DatabaseError};
use crate::record::{Origin, RawRecord};

/// Settled messages are kept at least this long: a broker's default retention, and a day. Retry topics may have been
/// created by somebody else.
const KEEP_SETTLED_MIN: Duration = Duration::from_secs(8 * 24 * 60 * 60);
/// How often settled messages are looked through for old ones.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);
/// How often a database that is away is asked again at most.
const ASK_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// How many go at once: a transaction of a moment.
const PURGE_ROWS_MAX: i64 = 10_000;

/// The books of one consumer. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    /// The client's group: whose positions these are.
    reader: Arc<str>,
    /// The consumer's group, under which messages that came through its retry topics are settled.
    group: Arc<str>,
    /// How long settled messages are kept: longer than a copy can lie in a retry topic.
    keep_settled: Duration,
    purged: Mutex<Option<Instant>>,
}

impl Ledger {
    /// `is_retry`: the books of the consumer of retry topics. `retry_retention`: how long those keep a message.
    pub(crate) fn new(database: Database, group: &str, is_retry: bool, retry_retention: Duration) -> Self {
        let keep_settled = retry_retention.saturating_mul(2).max(KEEP_SETTLED_MIN);
        let reader = if is_retry { format!("{group}.retry") } else { group.to_owned() };
        let (reader, group) = (reader.into(), group.into());
        Self { inner: Arc::new(Inner { database, reader, group, keep_settled, purged: Mutex::default() }) }
    }

    /// The group whose positions these are.
    pub(crate) fn reader(&self) -> &Arc<str> {
        &self.inner.reader
    }

    /// The positions of all partitions that have one. Blocks.
    fn positions(&self) -> Result<Positions, DatabaseError> {
        let positions = self.transaction(|conn| store::positions(conn, &self.inner.reader))?;
        Ok(positions.into_iter().collect())
    }

    /// Answers where the partitions stand, as soon as the database does; not at all once `draining` is cancelled.
    pub(crate) fn answer_positions(self, answer: std_mpsc::SyncSender<Positions>, draining: CancellationToken) {
        tokio::spawn(async move {
            let mut wait = Duration::from_millis(200);
            loop {
                let ledger = self.clone();
                let asked = tokio::task::spawn_blocking(move || ledger.positions());
                let why = tokio::select! {
                    biased;
                    () = draining.cancelled() => return,
                    asked = asked => match asked {
                        Ok(Ok(positions)) => {
                            // Whoever asked may have given up.
                            let _ = answer.try_send(positions);
                            return;
                        }
                        Ok(Err(error)) => error.to_string(),
                        Err(error) => error.to_string(),
                    },
                };
                tracing::warn!(
                    group = &*self.inner.reader,
                    "partitions are assigned when the database says where they stand; it is away: {why}"
                );
                tokio::select! {
                    () = draining.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
                wait = (wait * 2).min(ASK_INTERVAL_MAX);
            }
        });
    }

    /// Forgets everything: for a broker that begins with nothing. Blocks.
    pub(crate) fn forget(&self) -> Result<(), DatabaseError> {
        self.transaction(|conn| store::forget(conn, &self.inner.reader, &self.inner.group))
    }

    /// A partition of the consumer, not claimed yet. `start`: where it is read from.
    pub(crate) fn share(&self, id: PartitionId, start: i64) -> Arc<Share> {
        let state = State { standing: Standing { offset: start, epoch: 0 }, is_doubtful: false, delivered: None };
        Arc::new(Share { ledger: self.clone(), id, state: Mutex::new(state) })
    }

    /// Forgets settled messages whose time is over, now and then. Blocks.
    fn purge(&self) -> Result<(), DatabaseError> {
        let now = Instant::now();
        {
            let mut purged = self.inner.purged.lock().unwrap_or_else(PoisonError::into_inner);
            if purged.is_some_and(|at| now.duration_since(at) < PURGE_INTERVAL) {
                return Ok(());
            }
            *purged = Some(now);
        }
        let older_than = i64::try_from(self.inner.keep_settled.as_secs()).unwrap_or(i64::MAX);
        let gone = self.transaction(|conn| store::purge(conn, &self.inner.group, older_than, PURGE_ROWS_MAX))?;
        if gone > 0 {
            tracing::debug!(group = &*self.inner.group, "{gone} settled messages are forgotten, by their age");
        }
        Ok(())
    }

    fn transaction<T>(
        &self,
        work: impl FnOnce(&mut crate::db::DbConn) -> diesel::QueryResult<T>,
    ) -> Result<T, DatabaseError> {
        self.inner.database.write_transaction(|conn| work(conn).map_err(DatabaseError::from))
    }
}

/// Whether the tables are there; the text says what to do else. Blocks.
pub(crate) fn check_tables(database: &Database) -> Result<(), String> {
    let looked: Result<(), DatabaseError> = database.write_transaction(|conn| Ok(store::look(conn)?));
    looked.map_err(|error| format!("the tables of `offsets = \"database\"` cannot be used: {error}; run `migrate`"))
}

/// One partition, as long as this process has it.
pub(crate) struct Share {
    ledger: Ledger,
    id: PartitionId,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// As committed last; epoch 0 before the first claim.
    standing: Standing,
    /// What is committed is not known: the database went away at the wrong moment.
    is_doubtful: bool,
    /// Outgoing messages up to this offset have arrived, whether their rows are deleted or not.
    delivered: Option<i64>,
}

/// What a look at the database's side of a partition found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The next offset to handle.
    pub(crate) position: i64,
    /// What has left and is not known to have arrived.
    pub(crate) outgoing: Vec<Leaving>,
}

impl Share {
    /// Takes the partition over: from here on nobody else can commit anything of it. Blocks.
    ///
    /// # Errors
    /// The database is away, or `may_commit` says no.
    pub(crate) fn claim(&self, may_commit: impl Fn() -> bool) -> Result<Found, Trouble> {
        let start = self.state().standing.offset;
        let group = &self.ledger.inner.reader;
        let (standing, outgoing) = self.ledger.inner.database.write_transaction(|conn| {
            let standing = store::claim(conn, group, &self.id, start)?;
            let outgoing = store::outgoing(conn, group, &self.id)?;
            if may_commit() { Ok((standing, outgoing)) } else { Err(Trouble::NotOurs) }
        })?;
        self.take(standing, outgoing)
    }

    /// Looks what is committed, where that is in doubt; `None`: it is not. Blocks.
    ///
    /// # Errors
    /// Somebody else has claimed the partition, or the database is away.
    pub(crate) fn settle_doubt(&self) -> Result<Option<Found>, Trouble> {
        let State { standing: known, is_doubtful, .. } = *self.state();
        if !is_doubtful {
            return Ok(None);
        }
        let group = &self.ledger.inner.reader;
        let (standing, outgoing) = self.ledger.inner.database.write_transaction(|conn| {
            let standing = store::standing(conn, group, &self.id)?;
            Ok::<_, Trouble>((standing, store::outgoing(conn, group, &self.id)?))
        })?;
        match standing {
            Some(standing) if standing.epoch == known.epoch => self.take(standing, outgoing).map(Some),
            _ => Err(Trouble::Fenced),
        }
    }

    fn take(&self, standing: Standing, outgoing: Vec<Leaving>) -> Result<Found, Trouble> {
        let (arrived, outgoing): (Vec<_>, Vec<_>) = {
            let mut state = self.state();
            state.standing = standing;
            let delivered = state.delivered;
            outgoing.into_iter().partition(|leaving| delivered.is_some_and(|upto| leaving.offset <= upto))
        };
        if let Some(last) = arrived.last() {
            self.forget_outgoing(last.offset)?;
        }
        self.state().is_doubtful = false;
        Ok(Found { position: standing.offset, outgoing })
    }

    /// Notes that what is committed has to be looked up before the next batch.
    pub(crate) fn doubt(&self) {
        self.state().is_doubtful = true;
    }

    /// Notes that what is committed is known.
    pub(crate) fn trust(&self) {
        self.state().is_doubtful = false;
    }

    /// Notes that outgoing messages up to this offset have arrived. Blocks.
    pub(crate) fn arrived(&self, upto: i64) {
        {
            let mut state = self.state();
            state.delivered = state.delivered.max(Some(upto));
        }
        if let Err(error) = self.forget_outgoing(upto) {
            tracing::debug!(topic = &*self.id.0, partition = self.id.1, "outgoing rows are deleted later: {error:?}");
            self.doubt();
        }
    }

    fn forget_outgoing(&self, upto: i64) -> Result<(), DatabaseError> {
        self.ledger.transaction(|conn| store::delete_outgoing(conn, &self.ledger.inner.reader, &self.id, upto))
    }

    /// Which of these messages came through a retry topic and are done with. Blocks.
    pub(crate) fn repeated(&self, records: &[Arc<RawRecord>]) -> Result<HashSet<Origin>, DatabaseError> {
        let origins: Vec<Origin> = records.iter().filter(|r| r.retried.is_some()).map(|r| r.origin()).collect();
        if origins.is_empty() {
            return Ok(HashSet::new());
        }
        let settled = self.ledger.transaction(|conn| store::settled(conn, &self.ledger.inner.group, &origins))?;
        if let Err(error) = self.ledger.purge() {
            tracing::debug!("settled messages are looked through later: {error}");
        }
        Ok(settled)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod tests;
