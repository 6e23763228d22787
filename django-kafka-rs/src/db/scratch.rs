//! Schemas of their own for tests on a real PostgreSQL.

use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

/// A schema that ends with the test.
#[derive(Debug)]
pub(crate) struct Scratch {
    server: String,
    schema: String,
}

/// The server that `DATABASE_URL` names; `None`, said loudly, where it names none. CI sets it.
#[cfg(test)]
pub(crate) fn server() -> Option<String> {
    let server = std::env::var("DATABASE_URL").ok().filter(|url| super::libpq::is_url(url));
    if server.is_none() {
        eprintln!("SKIPPED: DATABASE_URL names no PostgreSQL (postgres://…)");
    }
    server
}

impl Scratch {
    /// A schema in the database that `DATABASE_URL` names, where it names one.
    #[cfg(test)]
    pub(crate) fn new() -> Option<Self> {
        Some(Self::on(server()?).expect("DATABASE_URL names a PostgreSQL that lets us create a schema"))
    }

    /// A schema in that database.
    ///
    /// # Errors
    /// It cannot be reached, or this user may create none.
    pub(crate) fn on(server: String) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // Of another run on the same server too.
        let started = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |age| age.as_micros());
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let schema = format!("dk_test_{}_{started}_{number}", std::process::id());
        let scratch = Self { server, schema };
        scratch.run(&format!("CREATE SCHEMA {}", scratch.schema)).map(|()| scratch)
    }

    /// The URL of the database, with the schema as its search path.
    pub(crate) fn url(&self) -> String {
        let separator = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{separator}options=-csearch_path%3D{}", self.server, self.schema)
    }

    fn run(&self, sql: &str) -> Result<(), String> {
        let mut conn =
            PgConnection::establish(&self.server).map_err(|error| super::libpq::masked_error(&error.to_string()))?;
        conn.batch_execute(sql).map_err(|error| error.to_string())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind is a schema with a name that says what it is.
        let _ = self.run(&format!("SET lock_timeout = '10s'; DROP SCHEMA {} CASCADE", self.schema));
    }
}
