//! Where waiting messages are kept: `django_kafka_waiting_message`.

mod presence;
mod sql;
mod table;

use std::collections::HashSet;

use diesel::QueryResult;

pub use self::table::TableProcessor;
use super::message::{Awaited, Chain, Parking, WaitingMessage};
use crate::db::DbConn;

/// Whether there is anything that a batch has to look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Presence {
    /// Messages of the batch's topics wait.
    pub parked: bool,
    /// A row of the batch's models is awaited.
    pub awaited: bool,
    /// A deletion waits for rows of the batch's models to go, or may.
    pub blocked: bool,
}

/// What waits of one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParkedKey {
    /// Messages that write a row: the offset of the last.
    pub rows: Option<i64>,
    /// A deletion that waits for the rows to go that refer to its row: its offset.
    pub deletion: Option<i64>,
    /// A daemon has some of them in hand.
    pub resolving: bool,
}

/// Which messages a daemon takes.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Those that wait for one of these rows.
    Relations(&'a [Awaited]),
    /// Followers that came since their chain was looked at last, and followers that have lost their head.
    Unseen,
    /// Deletions that other rows blocked.
    Blocked,
    /// Those that failed, and are due again.
    Failed,
    /// By their numbers.
    Ids(&'a [i64]),
}

/// A daemon's claim.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The groups whose messages it resolves.
    pub groups: &'a [String],
    /// Its token, which no other claim has.
    pub token: &'a str,
    /// How long nobody else may take them. Milliseconds.
    pub lease_ms: i64,
    /// The consumers' time.
    pub now_ms: i64,
    /// Chains at most.
    pub chains_max: i64,
    /// Messages at most.
    pub messages_max: i64,
}

/// What becomes of a message that a daemon could not resolve.
#[derive(Debug, Clone)]
pub struct Still {
    /// Its chain.
    pub chain: Chain,
    /// What the chain waits for now.
    pub relation: Option<Awaited>,
    /// The consumers' time: a deletion is tried again behind those that were tried before it.
    pub now_ms: i64,
}

/// How much waits for a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The row; `None`: what these messages wait for is to be looked at.
    pub relation: Option<Awaited>,
    /// They are deletions, which wait for the rows to go that refer to it.
    pub deletion: bool,
    /// How many messages.
    pub messages: i64,
    /// When the first of them was parked; milliseconds since 1970.
    pub oldest_ms: i64,
}

/// Keeps the messages that wait. The default keeps them in a table beside the models'; what takes its place has to
/// keep them in the same database, because they are parked in the transaction of the batch that they come from.
///
/// # Errors
/// All methods fail as the database does.
#[expect(clippy::missing_errors_doc, reason = "said once for all of them, above")]
pub trait MessageProcessor: Send + Sync + 'static {
    /// Whether anything waits that concerns these topics of the group, or these models.
    fn presence(&self, conn: &mut DbConn, group: &str, topics: &[&str], models: &[&str]) -> QueryResult<Presence>;
    /// What waits of these keys; those of which nothing does are left out.
    fn parked(&self, conn: &mut DbConn, group: &str, chains: &[&Chain]) -> QueryResult<Vec<(Chain, ParkedKey)>>;
    /// Waits for transactions that have messages of these keys in hand, and keeps others off them until this one ends.
    /// Called before it locks anything else, so that none of them waits for this one meanwhile. The default leaves that to
    /// [`forget`](Self::forget).
    fn lock(&self, conn: &mut DbConn, group: &str, chains: &[&Chain]) -> QueryResult<()> {
        let _ = (conn, group, chains);
        Ok(())
    }
    /// Parks messages. One that is parked already stays as it is.
    fn park(&self, conn: &mut DbConn, group: &str, messages: &[Parking]) -> QueryResult<()>;
    /// Forgets what waits of these keys, up to an offset each; waits for a daemon's transaction that has it in hand.
    fn forget(&self, conn: &mut DbConn, group: &str, chains: &[(&Chain, i64)]) -> QueryResult<()>;
    /// Makes what is left of these keys wait for nothing known: a part of what was judged together is gone, and the
    /// rest may wait for something else, or for nothing.
    fn judge_anew(&self, conn: &mut DbConn, group: &str, chains: &[&Chain]) -> QueryResult<()>;
    /// Which of these rows are awaited.
    fn awaited(&self, conn: &mut DbConn, rows: &[Awaited]) -> QueryResult<Vec<Awaited>>;
    /// Rows that are awaited, in order, behind `after`.
    fn relations(
        &self,
        conn: &mut DbConn,
        groups: &[String],
        after: Option<&Awaited>,
        limit: i64,
    ) -> QueryResult<Vec<Awaited>>;
    /// Takes messages in whole chains, in the order of topic, partition and offset; what writes a row before
    /// the last message of its chain that says the whole row is left out.
    fn claim(&self, conn: &mut DbConn, which: Which<'_>, claim: &Claim<'_>) -> QueryResult<Vec<WaitingMessage>>;
    /// Which of these messages are still this token's; they, and what else of their chains is, stay so until the
    /// transaction's end.
    fn held(&self, conn: &mut DbConn, token: &str, ids: &[i64]) -> QueryResult<HashSet<i64>>;
    /// Lengthens a claim.
    fn renew(&self, conn: &mut DbConn, token: &str, lease_ms: i64) -> QueryResult<()>;
    /// Chains that still wait, and for what; they are free again.
    fn still(&self, conn: &mut DbConn, group: &str, token: &str, chains: &[Still]) -> QueryResult<()>;
    /// A message failed, and its chain is due again at this time.
    fn failed(&self, conn: &mut DbConn, id: i64, attempts: u32, error: &str, due_ms: i64) -> QueryResult<()>;
    /// Frees what this token still has.
    fn release(&self, conn: &mut DbConn, token: &str) -> QueryResult<()>;
    /// Whether a daemon has messages of these groups in hand.
    fn is_claimed(&self, conn: &mut DbConn, groups: &[String]) -> QueryResult<bool>;
    /// Messages in order, behind the number `after`.
    fn list(&self, conn: &mut DbConn, groups: &[String], after: i64, limit: i64) -> QueryResult<Vec<WaitingMessage>>;
    /// How much waits for each row, the most first.
    fn counts(&self, conn: &mut DbConn, groups: &[String], limit: i64) -> QueryResult<Vec<Count>>;
    /// How much waits for each relation, whatever its rows: the values are empty. For those who watch; the default looks at
    /// the rows that the most waits for.
    fn totals(&self, conn: &mut DbConn, groups: &[String]) -> QueryResult<Vec<Count>> {
        const ROWS_MAX: i64 = 10_000;
        self.counts(conn, groups, ROWS_MAX)
    }
    /// One message.
    fn find(&self, conn: &mut DbConn, id: i64) -> QueryResult<Option<WaitingMessage>>;
    /// The channel of PostgreSQL on which [`notify`](Self::notify) tells: daemons listen there. `None`, the default:
    /// daemons hear nothing of other processes, and look by themselves.
    fn channel(&self) -> Option<&str> {
        None
    }
    /// Tells other processes, when the transaction is committed, that rows came which are awaited: by this text, of 5,000
    /// bytes at most.
    fn notify(&self, conn: &mut DbConn, text: &str) -> QueryResult<()>;
    /// Forgets messages by their numbers; how many there were.
    fn discard(&self, conn: &mut DbConn, ids: &[i64]) -> QueryResult<usize>;
}
