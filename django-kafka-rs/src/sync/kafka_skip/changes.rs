//! A changeset that sets `kafka_skip` where the user's own does not.

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AsChangeset, AstPass, QueryBuilder, QueryFragment, QueryId};

use super::COLUMN;
use super::value::suppressed;

/// Changes, and `kafka_skip`. Made by [`update_rows`](super::KafkaConnectSkip::update_rows).
#[derive(Debug, Clone, Copy)]
pub struct WithMark<V>(V);

impl<V> WithMark<V> {
    pub(super) fn new(changes: V) -> Self {
        Self(changes)
    }
}

impl<V: AsChangeset> AsChangeset for WithMark<V> {
    type Target = V::Target;
    type Changeset = Marked<V::Changeset>;

    fn as_changeset(self) -> Self::Changeset {
        Marked(self.0.as_changeset())
    }
}

/// The part after `SET` of what [`update_rows`](super::KafkaConnectSkip::update_rows) makes.
#[derive(Debug, Clone, Copy)]
pub struct Marked<C>(C);

impl<C> QueryId for Marked<C> {
    type QueryId = ();
    // Its text depends on what is suppressed.
    const HAS_STATIC_QUERY_ID: bool = false;
}

/// A backend that renders SQL as text: PostgreSQL, SQLite, and whichever a [`DbConn`](crate::db::DbConn) has.
pub trait Renders: Backend {
    #[doc(hidden)]
    fn __builder(&self) -> Self::QueryBuilder;
}

#[cfg(feature = "postgres")]
impl Renders for diesel::pg::Pg {
    fn __builder(&self) -> Self::QueryBuilder {
        Self::QueryBuilder::default()
    }
}

#[cfg(feature = "sqlite")]
impl Renders for diesel::sqlite::Sqlite {
    fn __builder(&self) -> Self::QueryBuilder {
        Self::QueryBuilder::default()
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
type Either = <crate::db::DbConn as Connection>::Backend;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Renders for Either {
    fn __builder(&self) -> Self::QueryBuilder {
        type Builder = <Either as Backend>::QueryBuilder;
        match self {
            #[cfg(feature = "postgres")]
            Self::Pg(backend) => Builder::Pg(backend.__builder()),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(backend) => Builder::Sqlite(backend.__builder()),
        }
    }
}

impl<C, DB> QueryFragment<DB> for Marked<C>
where
    DB: Renders,
    C: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if self.0.is_noop(out.backend())? {
            // Diesel says so.
            return Ok(());
        }
        let mut text = out.backend().__builder();
        self.0.to_sql(&mut text, out.backend())?;
        self.0.walk_ast(out.reborrow())?;
        if !sets_mark(&text.finish()) {
            out.push_sql(", ");
            out.push_identifier(COLUMN)?;
            out.push_sql(if suppressed() { " = true" } else { " = false" });
        }
        Ok(())
    }
}

/// Whether `kafka_skip` is among the columns that are set: an identifier (`"kafka_skip"`, `` `kafka_skip` ``) that
/// stands alone before an equals sign. A value that reads the column has the table's name before it.
fn sets_mark(changes: &str) -> bool {
    changes.match_indices(COLUMN).any(|(at, _)| {
        let Some(before) = changes.get(..at) else { return false };
        let Some(quote) = before.chars().next_back().filter(|quote| matches!(quote, '"' | '`')) else { return false };
        let assigned = changes
            .get(at + COLUMN.len()..)
            .and_then(|after| after.strip_prefix(quote))
            .is_some_and(|after| after.starts_with(" = "));
        let qualified = before.get(..before.len() - 1).is_some_and(|before| before.ends_with('.'));
        assigned && !qualified
    })
}

#[cfg(test)]
mod tests {
    use super::sets_mark;

    #[test]
    fn an_assignment_is_told_from_a_use() {
        for changes in [r#""kafka_skip" = $1"#, r#""name" = $1, "kafka_skip" = $2"#, "`name` = ?, `kafka_skip` = ?"] {
            assert!(sets_mark(changes), "{changes}");
        }
        for changes in [
            r#""name" = $1"#,
            r#""hidden" = "pets"."kafka_skip""#,
            r#""hidden" = ("pets"."kafka_skip" = $1)"#,
            r#""my_kafka_skip" = $1"#,
            r#""kafka_skipped" = $1"#,
        ] {
            assert!(!sets_mark(changes), "{changes}");
        }
    }
}
