//! Connections: a pool for reading, and one queued writer.
//!
//! SQLite has one writer at a time. Waiting for it in SQLite means polling a lock, without an order, up to a
//! timeout; so the process queues for its single writing connection, first come, first served.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ManageConnection, NopErrorHandler, Pool, PooledConnection, R2D2Connection};
use diesel::{Connection, RunQueryDsl, SqliteConnection};

use super::settings::{self, Target};
use super::{DatabaseError, DatabaseSettings, DbConn, Synchronous, failure, transaction};

/// The database that the settings name. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Opener,
    queue: Queue,
    readers: Pool<Opener>,
}

/// A connection for reading; it refuses to write.
pub(crate) type Reader = PooledConnection<Opener>;

impl Database {
    /// Opens the database, and creates the file where there is none.
    ///
    /// # Errors
    /// The URL is wrong, or the database cannot be opened.
    pub(crate) fn open(settings: &DatabaseSettings) -> Result<Self, DatabaseError> {
        if settings.pool_size == 0 {
            return Err(DatabaseError::Settings("`pool_size` is 0: at least one connection is needed".to_owned()));
        }
        let opener = |reads_only| -> Result<Opener, DatabaseError> {
            Ok(Opener {
                target: settings::target(&settings.url)?,
                shown: settings::masked(&settings.url),
                busy_timeout_ms: settings.busy_timeout.as_millis(),
                synchronous: settings.synchronous,
                reads_only,
            })
        };
        let readers = Pool::builder()
            .max_size(settings.pool_size)
            .min_idle(Some(0))
            .test_on_check_out(false)
            // r2d2 would log each failed attempt beside the error that `reader` returns.
            .error_handler(Box::new(NopErrorHandler))
            .build_unchecked(opener(true)?);
        let database = Self { inner: Arc::new(Inner { writer: opener(false)?, queue: Queue::default(), readers }) };
        drop(database.writer()?);
        Ok(database)
    }

    /// Waits for the writer, in the order of asking.
    ///
    /// # Errors
    /// The connection has to be opened anew and the database is away.
    pub(crate) fn writer(&self) -> Result<WriterGuard, DatabaseError> {
        let idle = self.inner.queue.wait();
        // From here on the guard's drop passes the turn on, also where no connection can be had.
        let mut guard = WriterGuard { database: self.clone(), conn: idle };
        if guard.conn.is_none() {
            guard.conn = Some(self.inner.writer.connect()?);
        }
        Ok(guard)
    }

    /// Runs `work` in a transaction of the writer; an error rolls back.
    ///
    /// # Errors
    /// `work`'s own, or the database's.
    pub(crate) fn write_transaction<T, E>(&self, work: impl FnOnce(&mut DbConn) -> Result<T, E>) -> Result<T, E>
    where
        E: From<DatabaseError> + From<diesel::result::Error>,
    {
        let mut conn = self.writer()?;
        transaction::begin_write(&mut conn)?;
        let done = work(&mut conn);
        match done {
            Ok(value) => {
                transaction::commit(&mut conn)?;
                Ok(value)
            }
            Err(error) => {
                // Where this fails too, the guard drops the connection, and SQLite rolls back.
                let _ = transaction::rollback_to(&mut conn, 0);
                Err(error)
            }
        }
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// None became free in time, or the database is away.
    pub(crate) fn reader(&self) -> Result<Reader, DatabaseError> {
        self.inner.readers.get().map_err(|error| {
            DatabaseError::Unavailable(format!(
                "no connection to the database `{}` to read with: {error}",
                self.inner.writer.shown
            ))
        })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn ping(&self) -> Result<(), DatabaseError> {
        let mut reader = self.reader()?;
        let DbConn::Sqlite(conn) = &mut *reader;
        // Reads the file's header, which `SELECT 1` would not.
        diesel::sql_query("SELECT count(*) FROM sqlite_master").execute(conn).map(drop).map_err(|error| {
            DatabaseError::Unavailable(format!("the database `{}` does not answer: {error}", self.inner.writer.shown))
        })
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("url", &self.inner.writer.shown).finish_non_exhaustive()
    }
}

/// The writer, until it is dropped.
///
/// A connection that comes back broken or with an open transaction is closed, which rolls back, and replaced.
pub(crate) struct WriterGuard {
    database: Database,
    conn: Option<DbConn>,
}

impl Deref for WriterGuard {
    type Target = DbConn;
    fn deref(&self) -> &DbConn {
        self.conn.as_ref().expect("a guard that was handed out has a connection")
    }
}

impl DerefMut for WriterGuard {
    fn deref_mut(&mut self) -> &mut DbConn {
        self.conn.as_mut().expect("a guard that was handed out has a connection")
    }
}

impl Drop for WriterGuard {
    fn drop(&mut self) {
        let keep = self.conn.take().and_then(usable);
        self.database.inner.queue.pass_on(keep);
    }
}

/// The connection, if it can serve the next one in the queue.
fn usable(mut conn: DbConn) -> Option<DbConn> {
    (!std::thread::panicking() && !conn.is_broken()).then_some(conn)
}

/// Who writes next: a lock that keeps the order of asking, which the standard library's does not promise.
#[derive(Default)]
struct Queue {
    state: Mutex<Turns>,
    next: Condvar,
}

#[derive(Default)]
struct Turns {
    tickets: u64,
    serving: u64,
    idle: Option<DbConn>,
}

impl Queue {
    fn wait(&self) -> Option<DbConn> {
        let mut state = self.lock();
        let ticket = state.tickets;
        state.tickets += 1;
        while state.serving != ticket {
            state = self.next.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle.take()
    }

    fn pass_on(&self, conn: Option<DbConn>) {
        let mut state = self.lock();
        state.idle = conn;
        state.serving += 1;
        drop(state);
        // All, because a condition variable wakes whom it likes; there are as many as there are workers.
        self.next.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        // Nothing between lock and unlock can leave the counters half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens connections.
#[derive(Clone)]
pub(crate) struct Opener {
    target: Target,
    /// The URL as messages may show it.
    shown: String,
    busy_timeout_ms: u128,
    synchronous: Synchronous,
    reads_only: bool,
}

impl Opener {
    fn configure(&self, conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
        let synchronous = self.synchronous.name();
        // The timeout first: the switch to WAL needs a lock itself.
        conn.batch_execute(&format!(
            "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; \
             PRAGMA foreign_keys = ON;",
            self.busy_timeout_ms
        ))?;
        if self.reads_only {
            conn.batch_execute("PRAGMA query_only = ON;")?;
        }
        Ok(())
    }

    fn unavailable(&self, why: &str) -> DatabaseError {
        DatabaseError::Unavailable(format!("the database `{}` cannot be opened: {why}", self.shown))
    }
}

impl ManageConnection for Opener {
    type Connection = DbConn;
    type Error = DatabaseError;

    fn connect(&self) -> Result<DbConn, DatabaseError> {
        let Target::Sqlite(path) = &self.target;
        let mut conn = SqliteConnection::establish(path)
            .map_err(|error| self.unavailable(&format!("{error}; the folder must exist and be writable")))?;
        self.configure(&mut conn).map_err(|error| {
            self.unavailable(&failure::classify(&error).outage(&error).unwrap_or_else(|| error.to_string()))
        })?;
        Ok(DbConn::Sqlite(conn))
    }

    fn is_valid(&self, conn: &mut DbConn) -> Result<(), DatabaseError> {
        conn.ping().map_err(|error| self.unavailable(&error.to_string()))
    }

    fn has_broken(&self, conn: &mut DbConn) -> bool {
        std::thread::panicking() || conn.is_broken()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use diesel::sql_types::{BigInt, Integer, Text};

    use super::*;

    fn open() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.sqlite3");
        let database = Database::open(&DatabaseSettings::new(path.to_str().unwrap())).unwrap();
        (folder, database)
    }

    fn execute(conn: &mut DbConn, sql: &str) -> diesel::QueryResult<usize> {
        let DbConn::Sqlite(conn) = conn;
        diesel::sql_query(sql).execute(conn)
    }

    fn count(conn: &mut DbConn) -> i64 {
        use diesel::dsl::sql;
        let DbConn::Sqlite(conn) = conn;
        diesel::select(sql::<BigInt>("(SELECT count(*) FROM t)")).get_result(conn).unwrap()
    }

    #[test]
    fn connections_are_set_up_for_safety() {
        use diesel::dsl::sql;
        let (_folder, database) = open();
        let mut writer = database.writer().unwrap();
        let DbConn::Sqlite(conn) = &mut *writer;
        let mode: String =
            diesel::select(sql::<Text>("(SELECT journal_mode FROM pragma_journal_mode)")).get_result(conn).unwrap();
        let keys: i32 =
            diesel::select(sql::<Integer>("(SELECT foreign_keys FROM pragma_foreign_keys)")).get_result(conn).unwrap();
        let full: i32 =
            diesel::select(sql::<Integer>("(SELECT synchronous FROM pragma_synchronous)")).get_result(conn).unwrap();
        assert_eq!((mode.as_str(), keys, full), ("wal", 1, 2));
    }

    #[test]
    fn readers_see_what_is_committed_and_cannot_write() {
        let (_folder, database) = open();
        execute(&mut database.writer().unwrap(), "CREATE TABLE t (id INTEGER PRIMARY KEY)").unwrap();
        let done: Result<(), DatabaseError> = database.write_transaction(|conn| {
            execute(conn, "INSERT INTO t VALUES (1)")?;
            assert_eq!(count(&mut *database.reader()?), 0);
            Ok(())
        });
        done.unwrap();
        let mut reader = database.reader().unwrap();
        assert_eq!(count(&mut reader), 1);
        assert!(execute(&mut reader, "INSERT INTO t VALUES (2)").is_err());
        database.ping().unwrap();
    }

    #[test]
    fn an_error_or_a_panic_rolls_back_and_the_writer_goes_on() {
        let (_folder, database) = open();
        execute(&mut database.writer().unwrap(), "CREATE TABLE t (id INTEGER PRIMARY KEY)").unwrap();
        let failed: Result<(), DatabaseError> = database.write_transaction(|conn| {
            execute(conn, "INSERT INTO t VALUES (1)")?;
            Err(DatabaseError::Settings("no".to_owned()))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _: Result<(), DatabaseError> = database.write_transaction(|conn| {
                execute(conn, "INSERT INTO t VALUES (2)")?;
                panic!("in the middle")
            });
        }));
        assert!(panicked.is_err());
        let mut left_open = database.writer().unwrap();
        transaction::begin_write(&mut left_open).unwrap();
        execute(&mut left_open, "INSERT INTO t VALUES (3)").unwrap();
        drop(left_open);
        assert_eq!(count(&mut database.writer().unwrap()), 0);
    }

    #[test]
    fn the_writer_is_lent_in_the_order_of_asking() {
        let (_folder, database) = open();
        let (served, order) = mpsc::channel();
        let first = database.writer().unwrap();
        let waiting: Vec<_> = (0..8_u64)
            .map(|n| {
                let (mine, served) = (database.clone(), served.clone());
                let thread = std::thread::spawn(move || {
                    let _turn = mine.writer().unwrap();
                    served.send(n).unwrap();
                });
                // Until it stands in the queue.
                while database.inner.queue.lock().tickets < n + 3 {
                    std::thread::yield_now();
                }
                thread
            })
            .collect();
        drop(first);
        for thread in waiting {
            thread.join().unwrap();
        }
        drop(served);
        assert_eq!(order.into_iter().collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_database_that_cannot_be_opened_says_why_and_the_queue_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("rows.sqlite3");
        let text = Database::open(&DatabaseSettings::new(path.to_str().unwrap())).unwrap_err().to_string();
        assert!(text.contains("cannot be opened") && text.contains("the folder must exist"), "{text}");

        let path = folder.path().join("text.sqlite3");
        std::fs::write(&path, "this is a text file, and a long one at that: ".repeat(100)).unwrap();
        let text = Database::open(&DatabaseSettings::new(path.to_str().unwrap())).unwrap_err().to_string();
        assert!(text.contains("file is not a database"), "{text}");
    }
}
