//! Connections for writing, lent in the order of asking, and SQLite's pool for reading.
//!
//! SQLite has one writer at a time. Waiting for it in SQLite means polling a lock, without an order, up to a timeout;
//! so the process queues for its single writing connection, first come, first served. PostgreSQL has as many as the
//! settings allow. A queue of our own, and no pool of r2d2's, which keeps no order, and tells an outage only after
//! its timeout.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use diesel::r2d2::R2D2Connection;

use super::failure::Failure;
use super::settings::{self, Target};
use super::{DatabaseError, DatabaseSettings, DbConn, failure, transaction};

/// The database that the settings name. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    /// The URL as messages may show it.
    shown: String,
    backend: Backend,
    queue: Queue,
    /// Told how long those wait that wait.
    waits: OnceLock<Waits>,
}

type Waits = Box<dyn Fn(Duration) + Send + Sync>;

/// How many connections for writing are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Lent at the same time at most.
    pub(crate) max: u64,
    pub(crate) used: u64,
    /// Who waits for one.
    pub(crate) waiting: u64,
}

enum Backend {
    #[cfg(feature = "postgres")]
    Pg(postgres::Opener),
    #[cfg(feature = "sqlite")]
    Sqlite { writer: sqlite::Opener, readers: sqlite::Readers },
}

impl Database {
    /// Opens the database. SQLite creates the file where there is none.
    ///
    /// # Errors
    /// The URL is wrong, or the database cannot be opened.
    pub(crate) fn open(settings: &DatabaseSettings) -> Result<Self, DatabaseError> {
        if settings.pool_size == 0 {
            return Err(DatabaseError::Settings("`pool_size` is 0: at least one connection is needed".to_owned()));
        }
        let shown = settings::masked(&settings.url);
        let (backend, writers) = match settings::target(&settings.url)? {
            #[cfg(feature = "postgres")]
            Target::Pg(url) => (Backend::Pg(postgres::Opener::new(&url)), u64::from(settings.pool_size)),
            #[cfg(feature = "sqlite")]
            Target::Sqlite(path) => {
                let writer = sqlite::Opener::new(path, shown.clone(), settings);
                let readers = writer.readers(settings.pool_size);
                (Backend::Sqlite { writer, readers }, 1)
            }
        };
        let database =
            Self { inner: Arc::new(Inner { shown, backend, queue: Queue::new(writers), waits: OnceLock::new() }) };
        drop(database.writer()?);
        Ok(database)
    }

    /// Waits for a connection to write with, in the order of asking.
    ///
    /// # Errors
    /// A connection has to be opened and the database is away.
    pub(crate) fn writer(&self) -> Result<WriterGuard, DatabaseError> {
        let (idle, waited) = self.inner.queue.wait();
        if let (Some(waited), Some(waits)) = (waited, self.inner.waits.get()) {
            waits(waited);
        }
        // From here on the guard's drop passes the turn on, also where no connection can be had.
        let mut guard = WriterGuard { database: self.clone(), conn: idle };
        if guard.conn.is_none() {
            guard.conn = Some(self.connect()?);
        }
        Ok(guard)
    }

    /// Tells `waits` from now on how long those wait that do not get a connection at once.
    pub(crate) fn telling(&self, waits: impl Fn(Duration) + Send + Sync + 'static) {
        // Called once: there is nothing to replace.
        let _ = self.inner.waits.set(Box::new(waits));
    }

    /// How many connections are in use now.
    pub(crate) fn usage(&self) -> Usage {
        self.inner.queue.usage()
    }

    /// A connection in a transaction that will write.
    ///
    /// # Errors
    /// The database is away, or locked by another program; the text says which.
    pub(crate) fn begin(&self) -> Result<WriterGuard, DatabaseError> {
        let mut conn = self.writer()?;
        let Err(error) = transaction::begin_write(&mut conn) else { return Ok(conn) };
        if !conn.is_broken() {
            return Err(unavailable(&error));
        }
        // It lay idle while the server went away; nothing was done on it, so a new one may try at once. The others
        // that lie idle are as old.
        self.inner.queue.forget_idle();
        conn.conn = None;
        conn.conn = Some(self.connect()?);
        transaction::begin_write(&mut conn).map_err(|error| unavailable(&error))?;
        Ok(conn)
    }

    /// Runs `work` in a transaction; an error rolls back.
    ///
    /// # Errors
    /// `work`'s own, or the database's.
    pub(crate) fn write_transaction<T, E>(&self, work: impl FnOnce(&mut DbConn) -> Result<T, E>) -> Result<T, E>
    where
        E: From<DatabaseError> + From<diesel::result::Error>,
    {
        let mut conn = self.begin()?;
        let done = work(&mut conn);
        match done {
            Ok(value) => {
                transaction::commit(&mut conn)?;
                Ok(value)
            }
            Err(error) => {
                // Where this fails too, the guard drops the connection, and the database rolls back.
                let _ = transaction::rollback_to(&mut conn, 0);
                Err(error)
            }
        }
    }

    /// The same with work of our own, again a few times where another transaction was in the way.
    ///
    /// # Errors
    /// As [`write_transaction`](Self::write_transaction).
    pub(crate) fn write_until_alone<T>(
        &self,
        mut work: impl FnMut(&mut DbConn) -> diesel::QueryResult<T>,
    ) -> Result<T, DatabaseError> {
        let mut once = || self.write_transaction(|conn| work(conn).map_err(DatabaseError::from));
        for retry in 1..=transaction::CONFLICTS_MAX {
            match once() {
                Err(DatabaseError::Query(error)) if failure::classify(&error) == Failure::Conflict => {
                    tracing::debug!(retry, "a transaction is run again, another was in its way: {error}");
                    transaction::pause(retry);
                }
                done => return done,
            }
        }
        once()
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn ping(&self) -> Result<(), DatabaseError> {
        match &self.inner.backend {
            #[cfg(feature = "postgres")]
            Backend::Pg(_) => {
                let mut conn = self.begin()?;
                transaction::rollback_to(&mut conn, 0).map_err(|error| unavailable(&error))
            }
            #[cfg(feature = "sqlite")]
            Backend::Sqlite { readers, .. } => sqlite::ping(readers, &self.inner.shown),
        }
    }

    /// A connection for reading; it refuses to write.
    #[cfg(all(test, feature = "sqlite"))]
    fn reader(&self) -> Result<sqlite::Reader, DatabaseError> {
        match &self.inner.backend {
            Backend::Sqlite { readers, .. } => sqlite::reader(readers, &self.inner.shown),
            #[cfg(feature = "postgres")]
            Backend::Pg(_) => Err(DatabaseError::Settings("PostgreSQL has no readers of its own".to_owned())),
        }
    }

    /// Whether it is PostgreSQL.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.inner.backend, Backend::Pg(_))
    }

    /// A connection beside those that are lent, for who keeps it.
    ///
    /// # Errors
    /// It cannot be opened, or the database is not PostgreSQL.
    #[cfg(feature = "postgres")]
    pub(crate) fn open_postgres(&self) -> Result<diesel::PgConnection, DatabaseError> {
        match self.connect()? {
            DbConn::Pg(conn) => Ok(conn),
            #[cfg(feature = "sqlite")]
            DbConn::Sqlite(_) => Err(DatabaseError::Settings("the database is SQLite".to_owned())),
        }
    }

    fn connect(&self) -> Result<DbConn, DatabaseError> {
        let opened = match &self.inner.backend {
            #[cfg(feature = "postgres")]
            Backend::Pg(opener) => opener.open(),
            #[cfg(feature = "sqlite")]
            Backend::Sqlite { writer, .. } => writer.open(),
        };
        opened.map_err(|why| {
            DatabaseError::Unavailable(format!("the database `{}` cannot be opened: {why}", self.inner.shown))
        })
    }
}

/// A failed statement of ours as the database's own failure.
fn unavailable(error: &diesel::result::Error) -> DatabaseError {
    DatabaseError::Unavailable(failure::classify(error).outage(error).unwrap_or_else(|| error.to_string()))
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("url", &self.inner.shown).finish_non_exhaustive()
    }
}

/// A connection to write with, until it is dropped.
///
/// One that comes back broken or with an open transaction is closed, which rolls back, and replaced.
pub(crate) struct WriterGuard {
    database: Database,
    conn: Option<DbConn>,
}

impl WriterGuard {
    /// Closes the connection at the end, because it was set up for one purpose.
    pub(crate) fn close(mut self) {
        self.conn = None;
    }
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

/// Who writes next: a number of places, given in the order of asking, which the standard library's locks do not
/// promise.
struct Queue {
    places: u64,
    state: Mutex<Turns>,
    next: Condvar,
}

#[derive(Default)]
struct Turns {
    tickets: u64,
    returned: u64,
    idle: Vec<DbConn>,
}

impl Queue {
    fn new(places: u64) -> Self {
        Self { places, state: Mutex::default(), next: Condvar::new() }
    }

    /// A connection that lies idle, if there is one; and how long the wait was, if there was one.
    fn wait(&self) -> (Option<DbConn>, Option<Duration>) {
        let mut state = self.lock();
        let ticket = state.tickets;
        state.tickets += 1;
        let mut since = None;
        while ticket >= state.returned + self.places {
            since.get_or_insert_with(Instant::now);
            state = self.next.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // The one that was used last: its statements are prepared, and its memory is warm.
        (state.idle.pop(), since.map(|since| since.elapsed()))
    }

    fn usage(&self) -> Usage {
        let state = self.lock();
        let asked = state.tickets - state.returned;
        Usage { max: self.places, used: asked.min(self.places), waiting: asked.saturating_sub(self.places) }
    }

    fn pass_on(&self, conn: Option<DbConn>) {
        let mut state = self.lock();
        state.idle.extend(conn);
        state.returned += 1;
        drop(state);
        // All, because a condition variable wakes whom it likes; there are as many as there are workers.
        self.next.notify_all();
    }

    fn forget_idle(&self) {
        let idle = std::mem::take(&mut self.lock().idle);
        // Outside of the lock: closing talks to the server.
        drop(idle);
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        // Nothing between lock and unlock can leave the counters half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use std::sync::mpsc;

    use diesel::RunQueryDsl;
    use diesel::sql_types::{BigInt, Integer, Text};

    use super::*;

    fn open() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.sqlite3");
        let database = Database::open(&DatabaseSettings::new(path.to_str().unwrap())).unwrap();
        (folder, database)
    }

    fn execute(conn: &mut DbConn, sql: &str) -> diesel::QueryResult<usize> {
        let conn = conn.sqlite();
        diesel::sql_query(sql).execute(conn)
    }

    fn count(conn: &mut DbConn) -> i64 {
        use diesel::dsl::sql;
        let conn = conn.sqlite();
        diesel::select(sql::<BigInt>("(SELECT count(*) FROM t)")).get_result(conn).unwrap()
    }

    #[test]
    fn connections_are_set_up_for_safety() {
        use diesel::dsl::sql;
        let (_folder, database) = open();
        let mut writer = database.writer().unwrap();
        let conn = writer.sqlite();
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
        assert_eq!(database.usage(), Usage { max: 1, used: 1, waiting: 8 });
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
