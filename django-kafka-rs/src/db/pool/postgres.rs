//! Connections to PostgreSQL.

use diesel::connection::SimpleConnection;
use diesel::{Connection, ConnectionError, PgConnection, RunQueryDsl};

use super::super::{DbConn, libpq};

/// Limits of a session where neither the server, the role, the database nor the URL has set one. A statement that
/// waits for ever would hold its partition; a process that was stopped in a transaction would hold its locks.
const LIMITS: &str = "
SELECT set_config(s.name, v.value, false)
FROM (VALUES ('lock_timeout', '10s'), ('statement_timeout', '60s'), ('idle_in_transaction_session_timeout', '60s'))
    AS v (name, value) JOIN pg_settings s USING (name)
WHERE s.setting = '0'";

/// Opens connections.
pub(super) struct Opener {
    /// What libpq takes, with timeouts.
    url: String,
}

impl Opener {
    pub(super) fn new(url: &str) -> Self {
        let url = libpq::with_timeouts(url, |variable| std::env::var_os(variable).is_some());
        Self { url }
    }

    /// Opens a connection, or says why not.
    pub(super) fn open(&self) -> Result<DbConn, String> {
        let mut conn = PgConnection::establish(&self.url).map_err(|error| match error {
            ConnectionError::BadConnection(said) => libpq::masked_error(&said),
            // Of the URL's bytes or of the session's first statements.
            other => libpq::masked_error(&other.to_string()),
        })?;
        diesel::sql_query(LIMITS).execute(&mut conn).map_err(|error| error.to_string())?;
        // Errors are told apart by their words (Diesel drops their codes), and the words are the server's language.
        // Where this role may not choose it, the server's own must do.
        let _ = conn.batch_execute("SET lc_messages = 'C'");
        Ok(DbConn::Pg(conn))
    }
}
