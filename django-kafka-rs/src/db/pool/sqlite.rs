//! Connections to SQLite.

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ManageConnection, NopErrorHandler, Pool, PooledConnection, R2D2Connection};
use diesel::{Connection, QueryResult, RunQueryDsl, SqliteConnection};

use super::super::{DatabaseError, DatabaseSettings, DbConn, Synchronous, failure};

/// Connections for reading: none is kept open before it is needed.
pub(super) type Readers = Pool<Opener>;

/// A connection for reading; it refuses to write.
pub(super) type Reader = PooledConnection<Opener>;

/// Opens connections.
#[derive(Clone)]
pub(super) struct Opener {
    /// What `sqlite3_open` takes.
    path: String,
    /// The URL as messages may show it.
    shown: String,
    busy_timeout_ms: u128,
    synchronous: Synchronous,
    reads_only: bool,
}

impl Opener {
    pub(super) fn new(path: String, shown: String, settings: &DatabaseSettings) -> Self {
        let busy_timeout_ms = settings.busy_timeout.as_millis();
        Self { path, shown, busy_timeout_ms, synchronous: settings.synchronous, reads_only: false }
    }

    pub(super) fn readers(&self, size: u32) -> Readers {
        Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            .test_on_check_out(false)
            // r2d2 would log each failed attempt beside the error that `reader` returns.
            .error_handler(Box::new(NopErrorHandler))
            .build_unchecked(Self { reads_only: true, ..self.clone() })
    }

    /// Opens a connection, or says why not.
    pub(super) fn open(&self) -> Result<DbConn, String> {
        let mut conn = SqliteConnection::establish(&self.path)
            .map_err(|error| format!("{error}; the folder must exist and be writable"))?;
        self.configure(&mut conn)
            .map_err(|error| failure::classify(&error).outage(&error).unwrap_or_else(|| error.to_string()))?;
        Ok(DbConn::Sqlite(conn))
    }

    fn configure(&self, conn: &mut SqliteConnection) -> QueryResult<()> {
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
}

/// A connection for reading.
///
/// # Errors
/// None became free in time, or the database is away.
pub(super) fn reader(readers: &Readers, shown: &str) -> Result<Reader, DatabaseError> {
    readers.get().map_err(|error| {
        DatabaseError::Unavailable(format!("no connection to the database `{shown}` to read with: {error}"))
    })
}

/// Whether the database answers.
pub(super) fn ping(readers: &Readers, shown: &str) -> Result<(), DatabaseError> {
    let mut conn = reader(readers, shown)?;
    // Reads the file's header, which `SELECT 1` would not.
    diesel::sql_query("SELECT count(*) FROM sqlite_master")
        .execute(&mut *conn)
        .map(drop)
        .map_err(|error| DatabaseError::Unavailable(format!("the database `{shown}` does not answer: {error}")))
}

impl ManageConnection for Opener {
    type Connection = DbConn;
    type Error = DatabaseError;

    fn connect(&self) -> Result<DbConn, DatabaseError> {
        self.open()
            .map_err(|why| DatabaseError::Unavailable(format!("the database `{}` cannot be opened: {why}", self.shown)))
    }

    fn is_valid(&self, conn: &mut DbConn) -> Result<(), DatabaseError> {
        conn.ping().map_err(|error| DatabaseError::Unavailable(error.to_string()))
    }

    fn has_broken(&self, conn: &mut DbConn) -> bool {
        std::thread::panicking() || conn.is_broken()
    }
}
