//! One connection of any backend.
#![cfg_attr(
    any(feature = "postgres", feature = "sqlite"),
    expect(missing_debug_implementations, reason = "what Diesel's derive generates has none")
)]

/// A connection to whichever database the settings name.
///
/// Diesel's queries run on it directly; where a query needs one backend's own features, match on it or use
/// `Context::pg` or `Context::sqlite`.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[derive(diesel::MultiConnection)]
pub enum DbConn {
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    Pg(diesel::PgConnection),
    /// SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite(diesel::SqliteConnection),
}

/// A connection to a database. This build is without one: there is none to be had.
#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
#[derive(Debug)]
pub enum DbConn {}

#[cfg(test)]
#[cfg(feature = "sqlite")]
impl DbConn {
    /// The SQLite connection that a test knows it is.
    pub(crate) fn sqlite(&mut self) -> &mut diesel::SqliteConnection {
        match self {
            Self::Sqlite(conn) => conn,
            #[cfg(feature = "postgres")]
            Self::Pg(_) => panic!("this is PostgreSQL"),
        }
    }
}
