//! One connection of any backend.
#![expect(
    missing_docs,
    missing_debug_implementations,
    reason = "what Diesel's derive generates has neither; the enum itself is documented"
)]

/// A connection to whichever database the settings name.
///
/// Diesel's queries run on it directly; where a query needs one backend's own features, match on it or use
/// `Context::sqlite`.
#[derive(diesel::MultiConnection)]
pub enum DbConn {
    /// SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite(diesel::SqliteConnection),
}
