//! Transactions and savepoints by Diesel's own counting, so that a user's `conn.transaction(…)` inside nests.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use diesel::QueryResult;
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::result::Error;

use super::DbConn;

/// How often a transaction is run again because others were in its way. Each of these times PostgreSQL waits a second
/// (`deadlock_timeout`) before it says so.
pub(crate) const CONFLICTS_MAX: u32 = 5;

/// Waits a little before what failed is tried again, not in step with others: 5 to 10 ms, then twice that, three times.
pub(crate) fn pause(retry: u32) {
    let jitter_us = RandomState::new().hash_one(()) % 5_000;
    std::thread::sleep(Duration::from_micros(5_000 + jitter_us) * retry);
}

/// Begins a transaction that will write.
///
/// SQLite's lock is taken now, not at the first write, where waiting for it could only fail. PostgreSQL's isolation
/// is the one that these statements are written for, whatever the server's default is.
pub(crate) fn begin_write(conn: &mut DbConn) -> QueryResult<()> {
    match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => {
            AnsiTransactionManager::begin_transaction_sql(pg, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        }
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(sqlite) => AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE"),
    }
}

/// Commits the transaction. Where that fails it is rolled back.
pub(crate) fn commit(conn: &mut DbConn) -> QueryResult<()> {
    if let Err(error) = check_deferred(conn) {
        // Where this fails too, the connection is given up with its transaction.
        let _ = rollback_to(conn, 0);
        return Err(error);
    }
    DbConn::commit_transaction(conn)
}

/// Checks what was deferred now, by a statement whose failure leaves no doubt whether the commit came through.
fn check_deferred(conn: &mut DbConn) -> QueryResult<()> {
    match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => diesel::connection::SimpleConnection::batch_execute(pg, "SET CONSTRAINTS ALL IMMEDIATE"),
        // Its deferred foreign keys are counted, not checked again: the commit itself is the check.
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(_) => Ok(()),
    }
}

/// Whether the transaction can be committed as it stands: nobody's own SQL has ended it, no statement in it has failed
/// unseen, and what was deferred holds. For what is committed with work that is not ours.
///
/// # Errors
/// It cannot be.
pub(crate) fn check_open(conn: &mut DbConn) -> QueryResult<()> {
    match conn {
        // A savepoint is refused outside of a transaction, and in one that has failed.
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => diesel::connection::SimpleConnection::batch_execute(
            pg,
            "SAVEPOINT django_kafka_end; SET CONSTRAINTS ALL IMMEDIATE",
        ),
        // To begin another one is refused inside a transaction.
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(sqlite) => match diesel::connection::SimpleConnection::batch_execute(sqlite, "BEGIN") {
            Err(_) => Ok(()),
            Ok(()) => {
                diesel::connection::SimpleConnection::batch_execute(sqlite, "ROLLBACK")?;
                Err(Error::NotInTransaction)
            }
        },
    }
}

/// Commits a transaction that was found fit by [`check_open`].
pub(crate) fn commit_checked(conn: &mut DbConn) -> QueryResult<()> {
    DbConn::commit_transaction(conn)
}

/// Begins a savepoint.
pub(crate) fn savepoint(conn: &mut DbConn) -> QueryResult<()> {
    DbConn::begin_transaction(conn)
}

/// Ends a savepoint and keeps what was done in it.
pub(crate) fn release(conn: &mut DbConn) -> QueryResult<()> {
    DbConn::commit_transaction(conn)
}

/// How many transactions and savepoints are open.
pub(crate) fn depth(conn: &mut DbConn) -> QueryResult<u32> {
    Ok(DbConn::transaction_manager_status_mut(conn).transaction_depth()?.map_or(0, u32::from))
}

/// Rolls back until `to` transactions and savepoints are open.
///
/// # Errors
/// The transaction is gone, because the database or somebody's own SQL ended it.
pub(crate) fn rollback_to(conn: &mut DbConn, to: u32) -> QueryResult<()> {
    loop {
        match depth(conn)? {
            now if now == to => return Ok(()),
            now if now < to => return Err(Error::NotInTransaction),
            _ => DbConn::rollback_transaction(conn)?,
        }
    }
}
