//! Writes planned statements. Each backend has its own module: they share what is to be done, not the SQL.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use diesel::result::{DatabaseErrorKind, Error};

use super::model::{ColumnSet, Row};
use super::plan::Kind;
use super::table::Table;
use crate::db::DbConn;
use crate::db::failure::{self, Failure};
use crate::error::{ConstraintViolation, ConsumeError};

/// One planned statement.
#[derive(Clone, Copy)]
pub(crate) struct Write<'a> {
    /// Where.
    pub table: &'a Table,
    /// The columns that identify a row.
    pub lookup: ColumnSet,
    /// What.
    pub kind: Kind,
    /// The rows, each with the same columns and its insert defaults filled.
    pub rows: &'a [&'a dyn Row],
}

/// Why a statement failed.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The database said no.
    Database(Error),
    /// A lookup matches more than one row.
    Ambiguous,
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

/// Writes. After an error the caller rolls back: some of the rows may have been written.
///
/// # Errors
/// The first failure; it does not say of which row.
pub(crate) fn execute(conn: &mut DbConn, write: &Write<'_>) -> Result<(), WriteError> {
    match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => postgres::execute(pg, write),
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(sqlite) => sqlite::execute(sqlite, write),
    }
}

/// Marks rows before they are deleted, where the model has `kafka_skip`: a connector sees what the row was, and so
/// knows that a sync deleted it.
const SET_MARK: &str = "SET kafka_skip = true";
/// Rows that are marked already need not be written.
const NOT_MARKED: &str = " AND kafka_skip IS NOT TRUE";

/// Rows in a statement that has parameters for each of them, at most. More gain nothing, and a prepared statement's
/// memory grows with its parameters.
const ROWS_MAX: usize = 128;

/// Cuts rows into statements: as large as allowed, then by powers of two, so that a handful of prepared statements
/// serves every batch.
fn chunks<'r, 'a>(
    rows: &'r [&'a dyn Row],
    parameters_per_row: usize,
    parameters_max: usize,
) -> impl Iterator<Item = &'r [&'a dyn Row]> {
    let fit = (parameters_max / parameters_per_row.max(1)).clamp(1, ROWS_MAX);
    let largest = 1_usize << fit.ilog2();
    let mut rest = rows;
    std::iter::from_fn(move || {
        let size = largest.min(1 << rest.len().checked_ilog2()?);
        let (chunk, behind) = rest.split_at(size);
        rest = behind;
        Some(chunk)
    })
}

/// A row that the database did not take, for a reason that is no constraint.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct RowNotWritten {
    message: String,
    #[source]
    source: Error,
}

/// A lookup that matches more than one row.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct AmbiguousLookup(String);

impl WriteError {
    /// The failure as its message's own error.
    pub(crate) fn explain(self, table: &Table, lookup: ColumnSet, kind: Kind) -> ConsumeError {
        match self {
            Self::Database(source) if failure::classify(&source) == Failure::Constraint => {
                ConstraintViolation::new(constraint_text(table, kind, &source), source).into()
            }
            Self::Database(source) => {
                let message = format!("table `{}`: the row was not {}: {source}", table.plain, done(kind));
                RowNotWritten { message, source }.into()
            }
            Self::Ambiguous => {
                let columns: Vec<_> = lookup.iter().map(|index| table.model.columns[index].column).collect();
                AmbiguousLookup(format!(
                    "table `{}`: more than one row has this message's {}; a message is about one row: make the \
                     columns unique, or look up by others with `#[sync(lookup(…))]`",
                    table.plain,
                    columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(" and ")
                ))
                .into()
            }
        }
    }
}

fn done(kind: Kind) -> &'static str {
    match kind {
        Kind::Upsert(_) | Kind::Part { .. } => "written",
        Kind::Delete => "deleted",
        Kind::Reset(_) => "set to its defaults",
    }
}

/// Table, what is refused in words, and the database's own words.
fn constraint_text(table: &Table, kind: Kind, error: &Error) -> String {
    let why = match error {
        Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => "another row has this value already",
        Error::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => match kind {
            Kind::Upsert(_) | Kind::Part { .. } => "the row that it refers to does not exist",
            Kind::Delete | Kind::Reset(_) => "other rows still refer to it",
        },
        Error::DatabaseError(DatabaseErrorKind::NotNullViolation, _) if matches!(kind, Kind::Reset(_)) => {
            "a column has no default, and newer messages of the key wrote a part of the row, so that it cannot go"
        }
        Error::DatabaseError(DatabaseErrorKind::NotNullViolation, _) => {
            "a column without a default has no value, because the message lacks it or says null"
        }
        Error::DatabaseError(DatabaseErrorKind::CheckViolation, _) => "its values do not pass a check",
        _ => "the database does not take its values",
    };
    // PostgreSQL's detail names the key or the row.
    let details = match error {
        Error::DatabaseError(_, information) => information.details(),
        _ => None,
    };
    let details = details.map(|details| format!("; {details}")).unwrap_or_default();
    format!("table `{}`: the row cannot be {}: {why} ({error}{details})", table.plain, done(kind))
}
