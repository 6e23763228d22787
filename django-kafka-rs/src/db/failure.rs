//! What a database error means: the row's own fault, an outage, or neither. Pure.
//!
//! Diesel drops the backend's error code for all but constraints, so the rest is told by the backends' own texts:
//! SQLite's (`sqlite3_errstr` and the few that are made up where the error arises) are part of its stable interface,
//! PostgreSQL's have not changed for many versions, in the language that `lc_messages = 'C'` asks for.

use diesel::result::{DatabaseErrorKind, Error};

/// What a database error means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The row itself is refused: it will be refused again.
    Constraint,
    /// The database cannot be used, and why: no message is at fault.
    Outage(String),
    /// Another connection holds a lock for longer than the busy timeout.
    Busy,
    /// Another transaction was in the way (a deadlock, a serialization failure): this one, run again as a whole, may
    /// well pass.
    Conflict,
    /// The database says something that names neither the row nor itself as the cause.
    Unknown,
    /// The statement never came to the database, or its answer was not understood.
    Other,
}

impl Failure {
    /// The reason to wait, where waiting is right.
    pub(crate) fn outage(self, error: &Error) -> Option<String> {
        match self {
            Self::Outage(reason) => Some(reason),
            Self::Busy => Some(format!("the database is locked by another program: {}", one_line(error))),
            Self::Conflict => Some(format!(
                "other transactions lock the same rows again and again; the server's log has their statements: {}",
                one_line(error)
            )),
            Self::Constraint | Self::Unknown | Self::Other => None,
        }
    }
}

/// An error's words in one line: libpq's have several.
pub(crate) fn one_line(error: &Error) -> String {
    error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Another connection's lock.
const BUSY: &[&str] = &[
    "database is locked",
    "database table is locked",
    "database schema is locked",
    "canceling statement due to lock timeout",
    "could not obtain lock on",
];

/// Another connection's transaction.
const CONFLICT: &[&str] = &["deadlock detected", "could not serialize access"];

/// The database itself, with what to look at. By the beginning of the text.
const OUTAGE: &[(&str, &str)] = &[
    // SQLite.
    ("database or disk is full", "free some space"),
    ("disk I/O error", "look at the disk and its file system"),
    ("attempt to write a readonly database", "let this user write the file and its folder"),
    ("unable to open database file", "the folder must exist and be writable"),
    ("file is not a database", "`database_url` must name an SQLite database"),
    ("database disk image is malformed", "restore it from a copy"),
    ("locking protocol", "look whether the file system supports locks"),
    // Both.
    ("out of memory", "give the process more memory"),
    // PostgreSQL: connections and shutdown.
    ("terminating connection", "the server ended the connection"),
    ("the database system is", "wait for the server, or look at its log"),
    ("server closed the connection", "look at the server's log"),
    ("could not receive data from server", "look at the network"),
    ("could not send data to server", "look at the network"),
    ("SSL connection has been closed", "look at the server's log"),
    ("no connection to the server", "look whether the server runs"),
    ("sorry, too many clients already", "raise `max_connections`, or lower `database.pool_size`"),
    ("remaining connection slots", "raise `max_connections`, or lower `database.pool_size`"),
    ("too many connections for", "raise the limit, or lower `database.pool_size`"),
    // PostgreSQL: disk and memory.
    ("could not extend file", "free some space"),
    ("could not write", "look at the disk and its file system"),
    ("could not fsync", "look at the disk and its file system"),
    ("could not open file", "look at the disk and its file system"),
    ("could not read block", "look at the disk and its file system"),
    ("out of shared memory", "raise `max_locks_per_transaction`"),
    // PostgreSQL: refusals of everything.
    ("too many notifications in the NOTIFY queue", "end the session that listens inside a long transaction"),
    ("canceling statement due to statement timeout", "look for locks and slow triggers, or raise `statement_timeout`"),
    ("canceling statement due to user request", "somebody cancelled it"),
    ("cannot execute", "`database_url` must name the primary server"),
    ("cannot set transaction read-write mode", "`database_url` must name the primary server"),
    ("permission denied for", "grant this user the right to write the table"),
];

/// The same, anywhere in the text.
const OUTAGE_INSIDE: &[(&str, &str)] = &[("No space left on device", "free some space")];

/// Refusals of a row that Diesel does not tell from other errors.
const ROW: &[&str] = &[
    // SQLite.
    "constraint failed",
    "datatype mismatch",
    "cannot store ",
    "string or blob too big",
    // PostgreSQL: values that a column does not hold.
    "value too long for type",
    "out of range",
    "numeric field overflow",
    "invalid byte sequence for encoding",
    "invalid input syntax for",
    "invalid input value for",
    "unsupported Unicode escape sequence",
    "has no equivalent in encoding",
    "division by zero",
    // PostgreSQL: rows that a table does not hold.
    "cannot affect row a second time",
    "cannot insert a non-DEFAULT value into column",
    "can only be updated to DEFAULT",
    "exceeds btree version",
    "exceeds maximum",
    "row is too big",
    "violates ",
];

/// What `error` means.
pub(crate) fn classify(error: &Error) -> Failure {
    match error {
        Error::DatabaseError(kind, information) => by_kind(*kind, information.message()),
        Error::RollbackErrorOnCommit { commit_error, .. } => match classify(commit_error) {
            // The connection's state is not known any more, whatever the commit's own error was.
            Failure::Constraint | Failure::Conflict | Failure::Unknown | Failure::Other => {
                Failure::Outage(format!("a transaction could be neither committed nor rolled back: {commit_error}"))
            }
            outage => outage,
        },
        Error::BrokenTransactionManager => Failure::Outage("the connection broke during a transaction".to_owned()),
        _ => Failure::Other,
    }
}

fn by_kind(kind: DatabaseErrorKind, text: &str) -> Failure {
    use DatabaseErrorKind as Kind;
    match kind {
        Kind::UniqueViolation
        | Kind::ForeignKeyViolation
        | Kind::NotNullViolation
        | Kind::CheckViolation
        | Kind::RestrictViolation
        | Kind::ExclusionViolation => Failure::Constraint,
        Kind::UnableToSendCommand | Kind::ClosedConnection | Kind::ReadOnlyTransaction => match by_text(text) {
            known @ Failure::Outage(_) => known,
            _ => Failure::Outage(text.lines().map(str::trim).collect::<Vec<_>>().join(" ")),
        },
        Kind::SerializationFailure => Failure::Conflict,
        _ => by_text(text),
    }
}

fn by_text(text: &str) -> Failure {
    if BUSY.iter().any(|known| text.starts_with(known)) {
        return Failure::Busy;
    }
    if CONFLICT.iter().any(|known| text.starts_with(known)) {
        return Failure::Conflict;
    }
    let outage = OUTAGE.iter().find(|(known, _)| text.starts_with(known));
    if let Some((_, remedy)) = outage.or_else(|| OUTAGE_INSIDE.iter().find(|(known, _)| text.contains(known))) {
        let said = text.lines().next().unwrap_or_default();
        return Failure::Outage(format!("{said}; {remedy}"));
    }
    if ROW.iter().any(|known| text.contains(known)) {
        return Failure::Constraint;
    }
    Failure::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: DatabaseErrorKind, text: &str) -> Error {
        Error::DatabaseError(kind, Box::new(text.to_owned()))
    }

    #[test]
    fn constraints_are_the_rows_own() {
        use DatabaseErrorKind as Kind;
        for kind in [
            Kind::UniqueViolation,
            Kind::ForeignKeyViolation,
            Kind::NotNullViolation,
            Kind::CheckViolation,
            Kind::RestrictViolation,
            Kind::ExclusionViolation,
        ] {
            assert_eq!(classify(&error(kind, "database is locked")), Failure::Constraint);
        }
        for text in [
            "UNIQUE constraint failed: t.rowid",
            "datatype mismatch",
            "cannot store TEXT value in INTEGER column t.n",
            "string or blob too big",
            "value too long for type character varying(5)",
            "integer out of range",
            "invalid byte sequence for encoding \"UTF8\": 0x00",
            "ON CONFLICT DO UPDATE command cannot affect row a second time",
        ] {
            assert_eq!(classify(&error(Kind::Unknown, text)), Failure::Constraint, "{text}");
        }
    }

    #[test]
    fn locks_are_busy() {
        for text in ["database is locked", "database table is locked: t", "database schema is locked: main"] {
            assert_eq!(classify(&error(DatabaseErrorKind::Unknown, text)), Failure::Busy, "{text}");
        }
        let text = "canceling statement due to lock timeout";
        assert_eq!(classify(&error(DatabaseErrorKind::Unknown, text)), Failure::Busy);
    }

    #[test]
    fn what_another_transaction_undid_is_a_conflict() {
        assert_eq!(classify(&error(DatabaseErrorKind::SerializationFailure, "")), Failure::Conflict);
        let deadlock = error(DatabaseErrorKind::Unknown, "deadlock detected");
        assert_eq!(classify(&deadlock), Failure::Conflict);
        assert!(classify(&deadlock).outage(&deadlock).unwrap().ends_with("their statements: deadlock detected"));
    }

    #[test]
    fn a_broken_database_is_an_outage_with_a_remedy() {
        for (text, remedy) in OUTAGE {
            let failure = classify(&error(DatabaseErrorKind::Unknown, text));
            assert_eq!(failure, Failure::Outage(format!("{text}; {remedy}")));
        }
        let full = error(DatabaseErrorKind::Unknown, "could not do it: No space left on device");
        assert!(matches!(classify(&full), Failure::Outage(text) if text.ends_with("free some space")));
        let gone =
            error(DatabaseErrorKind::ClosedConnection, "server closed the connection unexpectedly\n\tThis means");
        let said = "server closed the connection unexpectedly; look at the server's log";
        assert_eq!(classify(&gone), Failure::Outage(said.to_owned()));
        for kind in [
            DatabaseErrorKind::UnableToSendCommand,
            DatabaseErrorKind::ClosedConnection,
            DatabaseErrorKind::ReadOnlyTransaction,
        ] {
            assert_eq!(classify(&error(kind, "gone")), Failure::Outage("gone".to_owned()));
        }
        assert!(matches!(classify(&Error::BrokenTransactionManager), Failure::Outage(_)));
    }

    #[test]
    fn a_commit_that_cannot_be_rolled_back_is_an_outage() {
        let commit = |commit_error| Error::RollbackErrorOnCommit {
            rollback_error: Box::new(Error::NotFound),
            commit_error: Box::new(commit_error),
        };
        let refused = commit(error(DatabaseErrorKind::ForeignKeyViolation, "FOREIGN KEY constraint failed"));
        assert!(matches!(classify(&refused), Failure::Outage(_)));
        assert_eq!(classify(&commit(error(DatabaseErrorKind::Unknown, "database is locked"))), Failure::Busy);
    }

    #[test]
    fn the_rest_is_told_apart_by_who_said_it() {
        assert_eq!(classify(&error(DatabaseErrorKind::Unknown, "no such table: t")), Failure::Unknown);
        assert_eq!(classify(&error(DatabaseErrorKind::Unknown, "a trigger's words")), Failure::Unknown);
        assert_eq!(classify(&Error::NotFound), Failure::Other);
        assert_eq!(classify(&Error::QueryBuilderError("x".into())), Failure::Other);
        assert_eq!(classify(&Error::NotInTransaction), Failure::Other);
    }

    #[test]
    fn outages_and_locks_give_a_reason_to_wait() {
        let locked = error(DatabaseErrorKind::Unknown, "database is locked");
        assert!(classify(&locked).outage(&locked).unwrap().contains("locked by another program"));
        let refused = error(DatabaseErrorKind::CheckViolation, "");
        assert_eq!(classify(&refused).outage(&refused), None);
    }
}
