//! Statements for SQLite.
//!
//! Rows that do not need each other are written by multi-row statements: four times the rate of single rows. Their
//! sizes are powers of two up to `ROWS_MAX`, so that a handful of prepared statements serves every batch: against
//! preparing each anew that brings a twentieth for whole batches, and a quarter for those that are split at failures.
//! Everything else (partial rows that lack an insert's columns, lookups without a unique index, tables with triggers)
//! is written row by row, update first.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;

use super::{NOT_MARKED, SET_MARK, Write, WriteError, chunks};
use crate::sync::model::{ColumnSet, Row};
use crate::sync::plan::Kind;
use crate::sync::table::Table;

/// SQLite's limit of parameters in a statement.
const PARAMETERS_MAX: usize = 32_766;

pub(super) fn execute(conn: &mut SqliteConnection, write: &Write<'_>) -> Result<(), WriteError> {
    let Write { table, lookup, kind, rows } = *write;
    let shape = Shape { table, lookup, keep: table.shapes.keep(lookup, kind) };
    let together = match kind {
        Kind::Upsert(present) => table.upserts_together(lookup, present, rows.len() == 1),
        Kind::Delete => table.deletes_together(lookup),
        Kind::Part { .. } | Kind::Reset(_) => false,
    };
    // A unique index does not hold for NULL, and `IN` does not find it.
    let together = together && !(table.nullable(lookup) && shape.any_null(conn, rows)?);
    match kind {
        Kind::Upsert(present) if together => shape.upsert_together(conn, present, rows),
        Kind::Upsert(present) => rows.iter().try_for_each(|row| shape.upsert(conn, present, *row)),
        Kind::Delete if together => shape.delete_together(conn, rows),
        Kind::Part { update, .. } => rows.iter().try_for_each(|row| shape.upsert(conn, update, *row)),
        Kind::Delete => rows.iter().try_for_each(|row| shape.delete(conn, *row)),
        Kind::Reset(columns) => rows.iter().try_for_each(|row| shape.reset(conn, columns, *row)),
    }
}

/// What the statements of one kind have in common.
#[derive(Clone, Copy)]
struct Shape<'a> {
    table: &'a Table,
    lookup: ColumnSet,
    /// Whether the connection is to keep the statements prepared.
    keep: bool,
}

impl<'a> Shape<'a> {
    fn upsert_together(
        self,
        conn: &mut SqliteConnection,
        present: ColumnSet,
        rows: &[&'a dyn Row],
    ) -> Result<(), WriteError> {
        let Some(first) = rows.first() else { return Ok(()) };
        let columns = first.present();
        for rows in chunks(rows, columns.len(), PARAMETERS_MAX) {
            let update = Some(present.without(self.lookup));
            Insert { shape: self, columns, rows, update }.execute(conn)?;
        }
        Ok(())
    }

    /// Updates the row, or inserts it where there is none.
    fn upsert(self, conn: &mut SqliteConnection, present: ColumnSet, row: &'a dyn Row) -> Result<(), WriteError> {
        let set = present.without(self.lookup);
        let update = Update { shape: self, set, row };
        let one_statement_tells = self.table.one_match(self.lookup) && self.table.counts_are_true();
        let found = if one_statement_tells && !set.is_empty() {
            update.execute(conn)?
        } else {
            let found = self.matches(conn, row)?;
            if found == 1 && !set.is_empty() {
                update.execute(conn)?;
            }
            found
        };
        match found {
            0 => {
                Insert { shape: self, columns: row.present(), rows: &[row], update: None }.execute(conn)?;
                Ok(())
            }
            1 => Ok(()),
            _ => Err(WriteError::Ambiguous),
        }
    }

    fn delete_together(self, conn: &mut SqliteConnection, rows: &[&'a dyn Row]) -> Result<(), WriteError> {
        for rows in chunks(rows, self.lookup.len(), PARAMETERS_MAX) {
            if self.table.is_marked {
                DeleteAll { shape: self, rows, marks: true }.execute(conn)?;
            }
            DeleteAll { shape: self, rows, marks: false }.execute(conn)?;
        }
        Ok(())
    }

    fn delete(self, conn: &mut SqliteConnection, row: &'a dyn Row) -> Result<(), WriteError> {
        if !self.table.one_match(self.lookup) && self.matches(conn, row)? > 1 {
            return Err(WriteError::Ambiguous);
        }
        if self.table.is_marked {
            Delete { shape: self, row, marks: true }.execute(conn)?;
        }
        match (Delete { shape: self, row, marks: false }).execute(conn)? {
            0 | 1 => Ok(()),
            // Unique, but for NULL. The caller rolls back.
            _ => Err(WriteError::Ambiguous),
        }
    }

    /// Sets columns to their defaults, where the row is there.
    fn reset(self, conn: &mut SqliteConnection, columns: ColumnSet, row: &'a dyn Row) -> Result<(), WriteError> {
        match self.matches(conn, row)? {
            0 => Ok(()),
            1 => {
                Reset { shape: self, columns, row }.execute(conn)?;
                Ok(())
            }
            _ => Err(WriteError::Ambiguous),
        }
    }

    /// How many rows the lookup matches: 0, 1, or 2 for more than one.
    fn matches(self, conn: &mut SqliteConnection, row: &'a dyn Row) -> QueryResult<usize> {
        let found: i64 = Matches { shape: self, row }.get_result(conn)?;
        Ok(usize::try_from(found).unwrap_or(0))
    }

    /// Whether a lookup value of one of the rows is NULL.
    fn any_null(self, conn: &mut SqliteConnection, rows: &[&'a dyn Row]) -> QueryResult<bool> {
        for rows in chunks(rows, self.lookup.len(), PARAMETERS_MAX) {
            let found: i64 = Nulls { shape: self, rows }.get_result(conn)?;
            if found > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn caching(self, out: &mut AstPass<'_, '_, Sqlite>) {
        if !self.keep {
            out.unsafe_to_cache_prepared();
        }
    }

    fn table_name(self, out: &mut AstPass<'_, '_, Sqlite>) {
        out.push_sql(&self.table.sql);
    }

    fn column_list(self, columns: ColumnSet, out: &mut AstPass<'_, '_, Sqlite>) {
        for (place, column) in columns.iter().enumerate() {
            out.push_sql(if place == 0 { "" } else { ", " });
            out.push_sql(&self.table.columns[column]);
        }
    }

    /// `DELETE FROM t`, or `UPDATE t SET kafka_skip = true`.
    fn delete_or_mark(self, marks: bool, out: &mut AstPass<'_, '_, Sqlite>) {
        self.caching(out);
        out.push_sql(if marks { "UPDATE " } else { "DELETE FROM " });
        self.table_name(out);
        if marks {
            out.push_sql(" ");
            out.push_sql(SET_MARK);
        }
    }

    /// `a IS ? AND b IS ?`: as `=`, but NULL is found too. SQLite uses indices for both alike.
    fn where_lookup<'b>(self, row: &'b dyn Row, out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(" WHERE ");
        for (place, column) in self.lookup.iter().enumerate() {
            out.push_sql(if place == 0 { "" } else { " AND " });
            out.push_sql(&self.table.columns[column]);
            out.push_sql(" IS ");
            row.bind_sqlite(column, out.reborrow())?;
        }
        Ok(())
    }
}

/// `(?, ?), (?, ?)`
fn values<'b>(columns: ColumnSet, rows: &'b [&'b dyn Row], out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
    for (place, row) in rows.iter().enumerate() {
        out.push_sql(if place == 0 { "(" } else { ", (" });
        for (place, column) in columns.iter().enumerate() {
            out.push_sql(if place == 0 { "" } else { ", " });
            row.bind_sqlite(column, out.reborrow())?;
        }
        out.push_sql(")");
    }
    Ok(())
}

/// `INSERT INTO t (…) VALUES (…), (…)`, with `ON CONFLICT (…) DO UPDATE SET c = excluded.c` where `update` says.
struct Insert<'a> {
    shape: Shape<'a>,
    columns: ColumnSet,
    rows: &'a [&'a dyn Row],
    update: Option<ColumnSet>,
}

impl QueryFragment<Sqlite> for Insert<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.shape.caching(&mut out);
        out.push_sql("INSERT INTO ");
        self.shape.table_name(&mut out);
        out.push_sql(" (");
        self.shape.column_list(self.columns, &mut out);
        out.push_sql(") VALUES ");
        values(self.columns, self.rows, &mut out)?;
        let Some(update) = self.update else { return Ok(()) };
        out.push_sql(" ON CONFLICT (");
        self.shape.column_list(self.shape.lookup, &mut out);
        if update.is_empty() {
            out.push_sql(") DO NOTHING");
            return Ok(());
        }
        out.push_sql(") DO UPDATE SET ");
        for (place, column) in update.iter().enumerate() {
            let column = &self.shape.table.columns[column];
            out.push_sql(if place == 0 { "" } else { ", " });
            out.push_sql(column);
            out.push_sql(" = excluded.");
            out.push_sql(column);
        }
        Ok(())
    }
}

/// `UPDATE t SET c = ? WHERE …`
struct Update<'a> {
    shape: Shape<'a>,
    set: ColumnSet,
    row: &'a dyn Row,
}

impl QueryFragment<Sqlite> for Update<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.shape.caching(&mut out);
        out.push_sql("UPDATE ");
        self.shape.table_name(&mut out);
        out.push_sql(" SET ");
        for (place, column) in self.set.iter().enumerate() {
            out.push_sql(if place == 0 { "" } else { ", " });
            out.push_sql(&self.shape.table.columns[column]);
            out.push_sql(" = ");
            self.row.bind_sqlite(column, out.reborrow())?;
        }
        self.shape.where_lookup(self.row, &mut out)
    }
}

/// `UPDATE t SET c = (its default) WHERE …`; SQLite has no word for a column's default.
struct Reset<'a> {
    shape: Shape<'a>,
    columns: ColumnSet,
    row: &'a dyn Row,
}

impl QueryFragment<Sqlite> for Reset<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let table = self.shape.table;
        self.shape.caching(&mut out);
        out.push_sql("UPDATE ");
        self.shape.table_name(&mut out);
        out.push_sql(" SET ");
        for (place, column) in self.columns.iter().enumerate() {
            out.push_sql(if place == 0 { "" } else { ", " });
            out.push_sql(&table.columns[column]);
            out.push_sql(" = ");
            if table.is_filled(column) {
                self.row.bind_sqlite(column, out.reborrow())?;
            } else {
                out.push_sql(&table.default_values[column]);
            }
        }
        self.shape.where_lookup(self.row, &mut out)
    }
}

/// `DELETE FROM t WHERE …`
struct Delete<'a> {
    shape: Shape<'a>,
    row: &'a dyn Row,
    /// `UPDATE t SET kafka_skip = true WHERE …` instead.
    marks: bool,
}

impl QueryFragment<Sqlite> for Delete<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.shape.delete_or_mark(self.marks, &mut out);
        self.shape.where_lookup(self.row, &mut out)?;
        out.push_sql(if self.marks { NOT_MARKED } else { "" });
        Ok(())
    }
}

/// `DELETE FROM t WHERE (a, b) IN (VALUES (?, ?), (?, ?))`
struct DeleteAll<'a> {
    shape: Shape<'a>,
    rows: &'a [&'a dyn Row],
    /// `UPDATE t SET kafka_skip = true WHERE …` instead.
    marks: bool,
}

impl QueryFragment<Sqlite> for DeleteAll<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.shape.delete_or_mark(self.marks, &mut out);
        out.push_sql(" WHERE (");
        self.shape.column_list(self.shape.lookup, &mut out);
        out.push_sql(") IN (VALUES ");
        values(self.shape.lookup, self.rows, &mut out)?;
        out.push_sql(")");
        out.push_sql(if self.marks { NOT_MARKED } else { "" });
        Ok(())
    }
}

/// How many rows a lookup matches, up to two.
struct Matches<'a> {
    shape: Shape<'a>,
    row: &'a dyn Row,
}

impl QueryFragment<Sqlite> for Matches<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.shape.caching(&mut out);
        out.push_sql("SELECT count(*) FROM (SELECT 1 FROM ");
        self.shape.table_name(&mut out);
        self.shape.where_lookup(self.row, &mut out)?;
        out.push_sql(" LIMIT 2)");
        Ok(())
    }
}

/// How many rows have a NULL in their lookup.
struct Nulls<'a> {
    shape: Shape<'a>,
    rows: &'a [&'a dyn Row],
}

impl QueryFragment<Sqlite> for Nulls<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.shape.caching(&mut out);
        out.push_sql("SELECT count(*) FROM (VALUES ");
        values(self.shape.lookup, self.rows, &mut out)?;
        out.push_sql(") WHERE ");
        for place in 1..=self.shape.lookup.len() {
            out.push_sql(if place == 1 { "" } else { " OR " });
            out.push_sql(&format!("column{place} IS NULL"));
        }
        Ok(())
    }
}

/// Their text is their identity: Diesel's cache goes by it.
macro_rules! by_text {
    ($($statement:ident),*) => { $(
        impl QueryId for $statement<'_> {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }
        impl RunQueryDsl<SqliteConnection> for $statement<'_> {}
    )* };
}
by_text!(Insert, Update, Reset, Delete, DeleteAll, Matches, Nulls);

impl Query for Matches<'_> {
    type SqlType = BigInt;
}

impl Query for Nulls<'_> {
    type SqlType = BigInt;
}
