//! What a database error means: the row's own fault, an outage, or neither. Pure.
//!
//! Diesel drops the backend's error code for all but constraints, so the rest is told by SQLite's own texts
//! (`sqlite3_errstr` and the few that are made up where the error arises); they are part of its stable interface.

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
            Self::Busy => Some(format!("the database is locked by another program: {error}")),
            Self::Constraint | Self::Unknown | Self::Other => None,
        }
    }
}

/// Another connection's lock.
const BUSY: &[&str] = &["database is locked", "database table is locked", "database schema is locked"];

/// The database itself, with what to look at.
const OUTAGE: &[(&str, &str)] = &[
    ("database or disk is full", "free some space"),
    ("disk I/O error", "look at the disk and its file system"),
    ("attempt to write a readonly database", "let this user write the file and its folder"),
    ("unable to open database file", "the folder must exist and be writable"),
    ("file is not a database", "`database_url` must name an SQLite database"),
    ("database disk image is malformed", "restore it from a copy"),
    ("out of memory", "give the process more memory"),
    ("locking protocol", "look whether the file system supports locks"),
];

/// Refusals of a row that Diesel does not tell from other errors.
const ROW: &[&str] = &["constraint failed", "datatype mismatch", "cannot store ", "string or blob too big"];

/// What `error` means.
pub(crate) fn classify(error: &Error) -> Failure {
    match error {
        Error::DatabaseError(kind, information) => by_kind(*kind, information.message()),
        Error::RollbackErrorOnCommit { commit_error, .. } => match classify(commit_error) {
            // The connection's state is not known any more, whatever the commit's own error was.
            Failure::Constraint | Failure::Unknown | Failure::Other => {
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
        Kind::UnableToSendCommand | Kind::ClosedConnection | Kind::ReadOnlyTransaction => {
            Failure::Outage(text.to_owned())
        }
        Kind::SerializationFailure => Failure::Busy,
        _ => by_text(text),
    }
}

fn by_text(text: &str) -> Failure {
    if BUSY.iter().any(|known| text.starts_with(known)) {
        return Failure::Busy;
    }
    if let Some((_, remedy)) = OUTAGE.iter().find(|(known, _)| text.starts_with(known)) {
        return Failure::Outage(format!("{text}; {remedy}"));
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
        ] {
            assert_eq!(classify(&error(Kind::Unknown, text)), Failure::Constraint, "{text}");
        }
    }

    #[test]
    fn locks_are_busy() {
        for text in ["database is locked", "database table is locked: t", "database schema is locked: main"] {
            assert_eq!(classify(&error(DatabaseErrorKind::Unknown, text)), Failure::Busy, "{text}");
        }
        assert_eq!(classify(&error(DatabaseErrorKind::SerializationFailure, "")), Failure::Busy);
    }

    #[test]
    fn a_broken_database_is_an_outage_with_a_remedy() {
        for (text, remedy) in OUTAGE {
            let failure = classify(&error(DatabaseErrorKind::Unknown, text));
            assert_eq!(failure, Failure::Outage(format!("{text}; {remedy}")));
        }
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
