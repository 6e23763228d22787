//! The database: connections, pools, migrations.
//!
//! Everything that waits for a database is in here; what is decided about its answers (`failure`) is pure.
//! Without the feature `client` nothing runs, and there is only the connection's type, which declarations name.

mod conn;
#[cfg(feature = "client")]
pub(crate) mod failure;
#[cfg(all(feature = "client", any(feature = "postgres", feature = "sqlite")))]
pub(crate) mod introspect;
#[cfg(all(feature = "client", any(feature = "postgres", feature = "sqlite")))]
pub(crate) mod joined;
#[cfg(feature = "client")]
mod libpq;
#[cfg(all(feature = "client", any(feature = "postgres", feature = "sqlite")))]
pub(crate) mod migrations;
#[cfg(all(feature = "client", any(feature = "postgres", feature = "sqlite")))]
mod pool;
#[cfg(all(feature = "client", feature = "postgres", any(test, feature = "testing")))]
pub(crate) mod scratch;
#[cfg(feature = "client")]
mod settings;
#[cfg(all(feature = "client", any(feature = "postgres", feature = "sqlite")))]
pub(crate) mod transaction;

pub use self::conn::DbConn;
#[cfg(all(feature = "client", any(feature = "postgres", feature = "sqlite")))]
pub(crate) use self::pool::{Database, WriterGuard};
#[cfg(feature = "client")]
pub(crate) use self::settings::DatabaseSettings;
#[cfg(feature = "client")]
pub use self::settings::Synchronous;

/// Why the database cannot be used.
#[cfg(feature = "client")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DatabaseError {
    /// `database_url` or another setting is wrong: no waiting will help.
    #[error("{0}")]
    Settings(String),
    /// The database is away, locked or broken: it may come back.
    #[error("{0}")]
    Unavailable(String),
    /// A statement failed.
    #[error("{0}")]
    Query(#[from] diesel::result::Error),
}
