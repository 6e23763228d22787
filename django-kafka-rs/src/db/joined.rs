//! One transaction that several pieces of work join: those of one message's handler.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Database, DatabaseError, DbConn, WriterGuard, failure, transaction};

/// The transaction of one message, from its first piece of work on. Clones are of the same one.
#[derive(Clone, Default)]
pub(crate) struct Joined {
    slot: Arc<Mutex<Slot>>,
}

/// How the transaction stands.
#[derive(Default)]
pub(crate) enum Slot {
    /// Nothing was done in it.
    #[default]
    Unused,
    /// It waits for more work, or for its end.
    Open(WriterGuard),
    /// It is gone, with what was done in it.
    Lost(Lost),
    /// Its message is done with.
    Ended,
}

const UNBALANCED: &str = "work in it began or ended a transaction without its end";

/// Why a transaction is gone.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    pub(crate) reason: String,
    /// The database is the cause.
    pub(crate) is_outage: bool,
}

impl Lost {
    fn error(&self) -> DatabaseError {
        let text = format!("the transaction of this message is lost: {}", self.reason);
        if self.is_outage { DatabaseError::Unavailable(text) } else { DatabaseError::Settings(text) }
    }
}

impl std::fmt::Debug for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Joined").finish_non_exhaustive()
    }
}

impl Joined {
    /// Waits until no work is under way.
    pub(crate) async fn lock(&self) -> OwnedMutexGuard<Slot> {
        self.slot.clone().lock_owned().await
    }

    /// Ends it: what is under way is waited for, what comes later is refused. Whoever takes the connection commits it
    /// or drops it.
    pub(crate) async fn end(&self) -> Slot {
        std::mem::replace(&mut *self.lock().await, Slot::Ended)
    }
}

impl Slot {
    /// Runs `work` in the transaction, which begins with the first. An error undoes this work alone. Blocks.
    ///
    /// # Errors
    /// `work`'s own, or the database's, or that the transaction is lost or ended.
    pub(crate) fn run<T, E>(
        &mut self,
        database: &Database,
        work: impl FnOnce(&mut DbConn) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<DatabaseError> + From<diesel::result::Error>,
    {
        // What stands here while the work runs stays if it panics.
        let panicked = Lost { reason: "work in it panicked".to_owned(), is_outage: false };
        match std::mem::replace(self, Self::Lost(panicked)) {
            Self::Unused => self.first(database, work),
            Self::Open(conn) => self.further(conn, work),
            Self::Lost(lost) => {
                let error = lost.error();
                *self = Self::Lost(lost);
                Err(error.into())
            }
            Self::Ended => {
                *self = Self::Ended;
                let text = "the message of this context is done with, and its transaction has ended: wait for the \
                            database's work before the handler returns";
                Err(DatabaseError::Settings(text.to_owned()).into())
            }
        }
    }

    /// Without a savepoint, which costs as much as a commit: where it fails, the transaction ends.
    fn first<T, E>(&mut self, database: &Database, work: impl FnOnce(&mut DbConn) -> Result<T, E>) -> Result<T, E>
    where
        E: From<DatabaseError> + From<diesel::result::Error>,
    {
        let begun = database.begin();
        let mut conn = match begun {
            Ok(conn) => conn,
            Err(error) => {
                *self = Self::Unused;
                return Err(error.into());
            }
        };
        match work(&mut conn) {
            Ok(done) => {
                self.keep(conn)?;
                Ok(done)
            }
            Err(error) => {
                // Where this fails too, the guard drops the connection, and the database rolls back.
                let _ = transaction::rollback_to(&mut conn, 0);
                *self = Self::Unused;
                Err(error)
            }
        }
    }

    fn further<T, E>(&mut self, mut conn: WriterGuard, work: impl FnOnce(&mut DbConn) -> Result<T, E>) -> Result<T, E>
    where
        E: From<DatabaseError> + From<diesel::result::Error>,
    {
        if let Err(error) = transaction::savepoint(&mut conn) {
            return Err(self.lose(&error).into());
        }
        let done = work(&mut conn).and_then(|done| match transaction::depth(&mut conn)? {
            2 => transaction::release(&mut conn).map(|()| done).map_err(E::from),
            _ => Err(DatabaseError::Settings(UNBALANCED.to_owned()).into()),
        });
        match (done, transaction::rollback_to(&mut conn, 1)) {
            (done, Ok(())) => {
                *self = Self::Open(conn);
                done
            }
            (Ok(_), Err(error)) => Err(self.lose(&error).into()),
            // Its own error says more.
            (Err(own), Err(error)) => {
                self.lose(&error);
                Err(own)
            }
        }
    }

    /// Keeps the connection for what comes, if the work has left the transaction as it was.
    fn keep(&mut self, mut conn: WriterGuard) -> Result<(), DatabaseError> {
        match transaction::depth(&mut conn) {
            Ok(1) => {
                *self = Self::Open(conn);
                Ok(())
            }
            Ok(_) => Err(self.lose_by(UNBALANCED.to_owned(), false)),
            Err(error) => Err(self.lose(&error)),
        }
    }

    fn lose(&mut self, error: &diesel::result::Error) -> DatabaseError {
        match failure::classify(error).outage(error) {
            Some(reason) => self.lose_by(reason, true),
            None => self.lose_by(error.to_string(), false),
        }
    }

    fn lose_by(&mut self, reason: String, is_outage: bool) -> DatabaseError {
        let lost = Lost { reason, is_outage };
        let error = lost.error();
        *self = Self::Lost(lost);
        error
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use diesel::connection::SimpleConnection as _;
    use diesel::{Connection as _, RunQueryDsl as _};

    use super::*;
    use crate::db::DatabaseSettings;

    /// A database with an empty table `t`, and what it lives in.
    type Bench = (Database, Box<dyn std::any::Any>);

    fn benches() -> Vec<Bench> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.sqlite3");
        let sqlite = Database::open(&DatabaseSettings::new(path.to_str().unwrap())).unwrap();
        let mut benches: Vec<Bench> = vec![(sqlite, Box::new(folder))];
        #[cfg(feature = "postgres")]
        if let Some(schema) = crate::db::scratch::Scratch::new() {
            benches.push((Database::open(&DatabaseSettings::new(schema.url())).unwrap(), Box::new(schema)));
        }
        for (database, _) in &benches {
            let mut conn = database.writer().unwrap();
            conn.batch_execute("CREATE TABLE t (id INTEGER PRIMARY KEY)").unwrap();
        }
        benches
    }

    fn run(database: &Database, slot: &mut Slot, sql: &str) -> Result<(), DatabaseError> {
        slot.run(database, |conn| Ok(conn.batch_execute(sql)?))
    }

    /// Ends the transaction as a batch does.
    fn commit(slot: Slot) -> diesel::QueryResult<()> {
        let Slot::Open(mut conn) = slot else { panic!("nothing to commit") };
        transaction::check_open(&mut conn).and_then(|()| transaction::commit_checked(&mut conn))
    }

    fn count(database: &Database) -> i64 {
        use diesel::dsl::sql;
        use diesel::sql_types::BigInt;
        let mut conn = database.writer().unwrap();
        let query = diesel::select(sql::<BigInt>("(SELECT count(*) FROM t)"));
        match &mut *conn {
            #[cfg(feature = "postgres")]
            DbConn::Pg(pg) => query.get_result(pg).unwrap(),
            DbConn::Sqlite(sqlite) => query.get_result(sqlite).unwrap(),
        }
    }

    #[test]
    fn work_joins_and_a_failure_takes_back_its_own() {
        for (database, _home) in benches() {
            let mut slot = Slot::Unused;
            assert!(run(&database, &mut slot, "no SQL").is_err());
            assert!(matches!(slot, Slot::Unused), "nothing is held");
            run(&database, &mut slot, "INSERT INTO t VALUES (1)").unwrap();
            assert!(run(&database, &mut slot, "INSERT INTO t VALUES (2); INSERT INTO t VALUES (1)").is_err());
            let nested: Result<(), DatabaseError> = slot.run(&database, |conn| {
                conn.transaction(|conn| conn.batch_execute("INSERT INTO t VALUES (3)"))?;
                Ok(())
            });
            nested.unwrap();
            commit(slot).unwrap();
            assert_eq!(count(&database), 2);
        }
    }

    #[test]
    fn a_transaction_that_is_not_committed_is_taken_back() {
        for (database, _home) in benches() {
            let mut slot = Slot::Unused;
            run(&database, &mut slot, "INSERT INTO t VALUES (1)").unwrap();
            drop(slot);
            assert_eq!(count(&database), 0);
        }
    }

    #[test]
    fn a_transaction_that_its_work_has_ended_or_spoilt_is_not_committed() {
        for (database, _home) in benches() {
            let mut slot = Slot::Unused;
            let ended = run(&database, &mut slot, "INSERT INTO t VALUES (1); ROLLBACK");
            // Diesel notices it by itself on PostgreSQL.
            assert!(ended.is_err() || commit(slot).is_err(), "its own SQL has ended it");

            let mut slot = Slot::Unused;
            let swallowed: Result<(), DatabaseError> = slot.run(&database, |conn| {
                let _ = conn.batch_execute("no SQL");
                Ok(())
            });
            swallowed.unwrap();
            // SQLite undoes a failed statement alone.
            assert_eq!(commit(slot).is_ok(), matches!(*database.writer().unwrap(), DbConn::Sqlite(_)));

            let mut slot = Slot::Unused;
            let open: Result<(), DatabaseError> = slot.run(&database, |conn| Ok(transaction::savepoint(conn)?));
            assert!(open.unwrap_err().to_string().contains("without its end"));
            assert!(matches!(&slot, Slot::Lost(lost) if !lost.is_outage));
            let later = run(&database, &mut slot, "INSERT INTO t VALUES (1)").unwrap_err().to_string();
            assert!(later.contains("is lost"), "{later}");
            assert_eq!(count(&database), 0);
        }
    }

    #[test]
    fn work_that_panics_loses_the_transaction_and_leaves_the_database_usable() {
        for (database, _home) in benches() {
            let mut slot = Slot::Unused;
            run(&database, &mut slot, "INSERT INTO t VALUES (1)").unwrap();
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _: Result<(), DatabaseError> = slot.run(&database, |_| panic!("in the middle"));
            }));
            assert!(panicked.is_err() && matches!(slot, Slot::Lost(_)));
            assert_eq!(count(&database), 0);
        }
    }

    #[tokio::test]
    async fn what_comes_after_the_end_is_refused() {
        for (database, _home) in benches() {
            let joined = Joined::default();
            assert!(matches!(joined.end().await, Slot::Unused));
            let text = run(&database, &mut *joined.lock().await, "SELECT 1").unwrap_err().to_string();
            assert!(text.contains("is done with"), "{text}");
        }
    }
}
