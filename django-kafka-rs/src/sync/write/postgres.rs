//! Statements for PostgreSQL.
//!
//! A statement's rows go as one array for each column, which `unnest` takes apart again: one prepared statement serves
//! every batch, and twice the rate of a parameter for each value. `unnest` stands in the select list, once for each
//! array: in `FROM` PostgreSQL would first store all rows, a sixth of the whole statement's time. Columns that are arrays
//! themselves make no array of arrays: their tables' rows go as `VALUES`.
//!
//! Parameters have the type that `table!` says. They are assigned to columns as they are, since a cast would shorten
//! silently what the column refuses, and cast where they are compared, so that the column's index is used and its own
//! equality decides.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::BigInt;

use super::{NOT_MARKED, SET_MARK, Write, WriteError, chunks};
use crate::sync::model::{ColumnSet, PostgresArray, Row};
use crate::sync::plan::Kind;
use crate::sync::table::Table;

/// PostgreSQL's limit of parameters in a statement.
const PARAMETERS_MAX: usize = 65_535;

/// How the rows of a statement can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `INSERT … ON CONFLICT DO UPDATE`, or `DELETE`.
    Together,
    /// `UPDATE`, then `INSERT` of those that were not there.
    UpdateFirst,
    /// One after the other.
    Alone,
}

pub(super) fn execute(conn: &mut PgConnection, write: &Write<'_>) -> Result<(), WriteError> {
    let Write { table, lookup, kind, rows } = *write;
    let shape = Shape { table, lookup, keep: table.shapes.keep(lookup, kind) };
    let way = match kind {
        Kind::Upsert(present) if table.upserts_together(lookup, present, rows.len() == 1) => Way::Together,
        Kind::Upsert(present) if table.updates_together(lookup, present) => Way::UpdateFirst,
        Kind::Delete if table.deletes_together(lookup) => Way::Together,
        _ => Way::Alone,
    };
    // A unique index does not hold for NULL, and `=` does not find it.
    let way = if way != Way::Alone && table.nullable(lookup) && shape.any_null(conn, rows)? { Way::Alone } else { way };
    match (way, kind) {
        (Way::Together, Kind::Upsert(present)) => shape.insert_all(conn, present, rows),
        (Way::UpdateFirst, Kind::Upsert(present)) => shape.update_all(conn, present, rows),
        (Way::Alone, Kind::Upsert(present)) => rows.iter().try_for_each(|row| shape.upsert(conn, present, *row)),
        (_, Kind::Part { update, .. }) => rows.iter().try_for_each(|row| shape.upsert(conn, update, *row)),
        (_, Kind::Reset(columns)) => rows.iter().try_for_each(|row| shape.reset(conn, columns, *row)),
        (Way::Alone, Kind::Delete) => rows.iter().try_for_each(|row| shape.delete(conn, *row)),
        (Way::Together | Way::UpdateFirst, Kind::Delete) => shape.delete_all(conn, rows),
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
    /// Inserts, or updates what is there.
    fn insert_all(self, conn: &mut PgConnection, present: ColumnSet, rows: &[&'a dyn Row]) -> Result<(), WriteError> {
        let Some(first) = rows.first() else { return Ok(()) };
        let columns = first.present();
        let update = Some(present.without(self.lookup));
        for rows in self.statements(rows, columns) {
            Insert { shape: self, source: self.source(columns, rows)?, update }.execute(conn)?;
        }
        Ok(())
    }

    /// Updates what is there, then inserts the rest.
    fn update_all(self, conn: &mut PgConnection, present: ColumnSet, rows: &[&'a dyn Row]) -> Result<(), WriteError> {
        for rows in self.statements(rows, present) {
            let source = self.source(present, rows)?;
            let set = present.without(self.lookup);
            let found = if set.is_empty() {
                Existing { shape: self, source }.load::<i64>(conn)?
            } else {
                UpdateAll { shape: self, set, source }.load::<i64>(conn)?
            };
            let missing = without(rows, &found);
            self.insert_all(conn, present, &missing)?;
        }
        Ok(())
    }

    /// Updates the row, or inserts it where there is none.
    fn upsert(self, conn: &mut PgConnection, present: ColumnSet, row: &'a dyn Row) -> Result<(), WriteError> {
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
                // Another transaction may have inserted it meanwhile.
                let update = self.table.has_index(self.lookup).then_some(set);
                let source = Source { columns: row.present(), rows: &[row], arrays: None, count: 1 };
                Insert { shape: self, source, update }.execute(conn)?;
                Ok(())
            }
            1 => Ok(()),
            _ => Err(WriteError::Ambiguous),
        }
    }

    fn delete_all(self, conn: &mut PgConnection, rows: &[&'a dyn Row]) -> Result<(), WriteError> {
        for rows in self.statements(rows, self.lookup) {
            if self.table.is_marked {
                DeleteAll { shape: self, source: self.source(self.lookup, rows)?, marks: true }.execute(conn)?;
            }
            DeleteAll { shape: self, source: self.source(self.lookup, rows)?, marks: false }.execute(conn)?;
        }
        Ok(())
    }

    fn delete(self, conn: &mut PgConnection, row: &'a dyn Row) -> Result<(), WriteError> {
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
    fn reset(self, conn: &mut PgConnection, columns: ColumnSet, row: &'a dyn Row) -> Result<(), WriteError> {
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
    fn matches(self, conn: &mut PgConnection, row: &'a dyn Row) -> QueryResult<usize> {
        let found: i64 = Matches { shape: self, row }.get_result(conn)?;
        Ok(usize::try_from(found).unwrap_or(0))
    }

    /// Whether a lookup value of one of the rows is NULL.
    fn any_null(self, conn: &mut PgConnection, rows: &[&'a dyn Row]) -> QueryResult<bool> {
        for rows in self.statements(rows, self.lookup) {
            let found: i64 = Nulls { shape: self, source: self.source(self.lookup, rows)? }.get_result(conn)?;
            if found > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The rows of each statement: all, as long as they can go as arrays.
    fn statements<'r>(
        self,
        rows: &'r [&'a dyn Row],
        columns: ColumnSet,
    ) -> impl Iterator<Item = &'r [&'a dyn Row]> + use<'r, 'a> {
        let as_arrays = self.table.arrays.includes(columns);
        let whole = (as_arrays && !rows.is_empty()).then_some(rows);
        let cut = if as_arrays { &[] } else { rows };
        whole.into_iter().chain(chunks(cut, columns.len(), PARAMETERS_MAX))
    }

    fn source<'r>(self, columns: ColumnSet, rows: &'r [&'r dyn Row]) -> QueryResult<Source<'r>> {
        let arrays = match rows.first() {
            Some(first) if self.table.arrays.includes(columns) => {
                Some(columns.iter().map(|column| first.postgres_array(column, rows)).collect::<QueryResult<Vec<_>>>()?)
            }
            _ => None,
        };
        Ok(Source { columns, rows, arrays, count: i64::try_from(rows.len()).unwrap_or(i64::MAX) })
    }

    fn caching(self, out: &mut AstPass<'_, '_, Pg>) {
        if !self.keep {
            out.unsafe_to_cache_prepared();
        }
    }

    fn column_list(self, columns: ColumnSet, out: &mut AstPass<'_, '_, Pg>) {
        for (place, column) in columns.iter().enumerate() {
            out.push_sql(if place == 0 { "" } else { ", " });
            out.push_sql(&self.table.columns[column]);
        }
    }

    /// ` WHERE dk_table.a = dk_rows.c0::type AND …`
    fn where_source(self, out: &mut AstPass<'_, '_, Pg>) {
        for (place, column) in self.lookup.iter().enumerate() {
            out.push_sql(if place == 0 { " WHERE dk_table." } else { " AND dk_table." });
            out.push_sql(&self.table.columns[column]);
            out.push_sql(&format!(" = dk_rows.c{column}::"));
            out.push_sql(&self.table.types[column]);
        }
    }

    /// ` WHERE a = $1::type AND …`. A column that can be NULL is found by NULL too, in a form that uses its index.
    fn where_lookup<'b>(self, row: &'b dyn Row, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for (place, column) in self.lookup.iter().enumerate() {
            let (name, sql_type) = (&self.table.columns[column], &self.table.types[column]);
            let nullable = self.table.nullable(ColumnSet::EMPTY.with(column));
            out.push_sql(if place == 0 { " WHERE (" } else { " AND (" });
            out.push_sql(name);
            out.push_sql(" = ");
            row.bind_postgres(column, out.reborrow())?;
            out.push_sql("::");
            out.push_sql(sql_type);
            if nullable {
                out.push_sql(" OR (");
                out.push_sql(name);
                out.push_sql(" IS NULL AND ");
                row.bind_postgres(column, out.reborrow())?;
                out.push_sql("::");
                out.push_sql(sql_type);
                out.push_sql(" IS NULL)");
            }
            out.push_sql(")");
        }
        Ok(())
    }
}

/// The rows whose numbers, from 1, are not among `found`.
fn without<'a>(rows: &[&'a dyn Row], found: &[i64]) -> Vec<&'a dyn Row> {
    let mut is_there = vec![false; rows.len()];
    for number in found {
        let place = usize::try_from(number - 1).ok();
        if let Some(is_there) = place.and_then(|place| is_there.get_mut(place)) {
            *is_there = true;
        }
    }
    rows.iter().zip(is_there).filter_map(|(row, is_there)| (!is_there).then_some(*row)).collect()
}

/// Rows as a table of a statement: `dk_rows`, with the columns `c` and the model's index.
struct Source<'a> {
    columns: ColumnSet,
    rows: &'a [&'a dyn Row],
    /// An array for each column; `None`: a parameter for each value.
    arrays: Option<Vec<PostgresArray<'a>>>,
    /// How many rows.
    count: i64,
}

impl Source<'_> {
    /// `(SELECT unnest($1), unnest($2)) AS dk_rows (c0, c1)`, or `(VALUES ($1, $2), ($3, $4)) AS dk_rows (c0, c1)`; with
    /// the rows' numbers, from 1, as `n`, where they are wanted.
    fn walk<'b>(&'b self, numbered: bool, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match &self.arrays {
            Some(arrays) => {
                for (place, array) in arrays.iter().enumerate() {
                    out.push_sql(if place == 0 { "(SELECT unnest(" } else { ", unnest(" });
                    array.walk_ast(out.reborrow())?;
                    out.push_sql(")");
                }
                if numbered {
                    out.push_sql(", generate_series(1, ");
                    out.push_bind_param::<BigInt, _>(&self.count)?;
                    out.push_sql(")");
                }
                out.push_sql(")");
            }
            None => self.values(numbered, out)?,
        }
        out.push_sql(" AS dk_rows (");
        for (place, column) in self.columns.iter().enumerate() {
            out.push_sql(if place == 0 { "c" } else { ", c" });
            out.push_sql(&column.to_string());
        }
        out.push_sql(if numbered { ", n)" } else { ")" });
        Ok(())
    }

    fn values<'b>(&'b self, numbered: bool, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(VALUES ");
        for (place, row) in self.rows.iter().enumerate() {
            out.push_sql(if place == 0 { "(" } else { ", (" });
            for (place, column) in self.columns.iter().enumerate() {
                out.push_sql(if place == 0 { "" } else { ", " });
                row.bind_postgres(column, out.reborrow())?;
            }
            if numbered {
                out.push_sql(&format!(", {}::bigint", place + 1));
            }
            out.push_sql(")");
        }
        out.push_sql(")");
        Ok(())
    }
}

/// `INSERT INTO t (…) SELECT * FROM …`, with `ON CONFLICT (…) DO UPDATE SET c = excluded.c` where `update` says.
struct Insert<'a> {
    shape: Shape<'a>,
    source: Source<'a>,
    update: Option<ColumnSet>,
}

impl QueryFragment<Pg> for Insert<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let table = self.shape.table;
        self.shape.caching(&mut out);
        out.push_sql("INSERT INTO ");
        out.push_sql(&table.sql);
        out.push_sql(" (");
        self.shape.column_list(self.source.columns, &mut out);
        out.push_sql(")");
        if self.source.columns.without(table.identity) != self.source.columns {
            out.push_sql(" OVERRIDING SYSTEM VALUE");
        }
        out.push_sql(" SELECT * FROM ");
        self.source.walk(false, &mut out)?;
        let Some(update) = self.update else { return Ok(()) };
        out.push_sql(" ON CONFLICT (");
        self.shape.column_list(self.shape.lookup, &mut out);
        if update.is_empty() {
            out.push_sql(") DO NOTHING");
            return Ok(());
        }
        out.push_sql(") DO UPDATE SET ");
        for (place, column) in update.iter().enumerate() {
            let column = &table.columns[column];
            out.push_sql(if place == 0 { "" } else { ", " });
            out.push_sql(column);
            out.push_sql(" = excluded.");
            out.push_sql(column);
        }
        Ok(())
    }
}

/// `UPDATE t SET c = dk_rows.c FROM … WHERE … RETURNING` the numbers of the rows that were there.
struct UpdateAll<'a> {
    shape: Shape<'a>,
    set: ColumnSet,
    source: Source<'a>,
}

impl QueryFragment<Pg> for UpdateAll<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.shape.caching(&mut out);
        out.push_sql("UPDATE ");
        out.push_sql(&self.shape.table.sql);
        out.push_sql(" AS dk_table SET ");
        for (place, column) in self.set.iter().enumerate() {
            out.push_sql(if place == 0 { "" } else { ", " });
            out.push_sql(&self.shape.table.columns[column]);
            out.push_sql(&format!(" = dk_rows.c{column}"));
        }
        out.push_sql(" FROM ");
        self.source.walk(true, &mut out)?;
        self.shape.where_source(&mut out);
        out.push_sql(" RETURNING dk_rows.n");
        Ok(())
    }
}

/// The numbers of the rows that are there.
struct Existing<'a> {
    shape: Shape<'a>,
    source: Source<'a>,
}

impl QueryFragment<Pg> for Existing<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.shape.caching(&mut out);
        out.push_sql("SELECT dk_rows.n FROM ");
        self.source.walk(true, &mut out)?;
        out.push_sql(", ");
        out.push_sql(&self.shape.table.sql);
        out.push_sql(" AS dk_table");
        self.shape.where_source(&mut out);
        Ok(())
    }
}

/// `DELETE FROM t USING … WHERE …`
struct DeleteAll<'a> {
    shape: Shape<'a>,
    source: Source<'a>,
    /// `UPDATE t SET kafka_skip = true FROM … WHERE …` instead.
    marks: bool,
}

impl QueryFragment<Pg> for DeleteAll<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.shape.caching(&mut out);
        out.push_sql(if self.marks { "UPDATE " } else { "DELETE FROM " });
        out.push_sql(&self.shape.table.sql);
        out.push_sql(" AS dk_table ");
        out.push_sql(if self.marks { SET_MARK } else { "USING " });
        out.push_sql(if self.marks { " FROM " } else { "" });
        self.source.walk(false, &mut out)?;
        self.shape.where_source(&mut out);
        out.push_sql(if self.marks { NOT_MARKED } else { "" });
        Ok(())
    }
}

/// `UPDATE t SET c = $1 WHERE …`
struct Update<'a> {
    shape: Shape<'a>,
    set: ColumnSet,
    row: &'a dyn Row,
}

impl QueryFragment<Pg> for Update<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.shape.caching(&mut out);
        out.push_sql("UPDATE ");
        out.push_sql(&self.shape.table.sql);
        out.push_sql(" SET ");
        for (place, column) in self.set.iter().enumerate() {
            out.push_sql(if place == 0 { "" } else { ", " });
            out.push_sql(&self.shape.table.columns[column]);
            out.push_sql(" = ");
            self.row.bind_postgres(column, out.reborrow())?;
        }
        self.shape.where_lookup(self.row, &mut out)
    }
}

/// `UPDATE t SET c = DEFAULT WHERE …`
struct Reset<'a> {
    shape: Shape<'a>,
    columns: ColumnSet,
    row: &'a dyn Row,
}

impl QueryFragment<Pg> for Reset<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let table = self.shape.table;
        self.shape.caching(&mut out);
        out.push_sql("UPDATE ");
        out.push_sql(&table.sql);
        out.push_sql(" SET ");
        for (place, column) in self.columns.iter().enumerate() {
            out.push_sql(if place == 0 { "" } else { ", " });
            out.push_sql(&table.columns[column]);
            out.push_sql(" = ");
            if table.is_filled(column) {
                self.row.bind_postgres(column, out.reborrow())?;
            } else {
                out.push_sql("DEFAULT");
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

impl QueryFragment<Pg> for Delete<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.shape.caching(&mut out);
        out.push_sql(if self.marks { "UPDATE " } else { "DELETE FROM " });
        out.push_sql(&self.shape.table.sql);
        out.push_sql(if self.marks { " " } else { "" });
        out.push_sql(if self.marks { SET_MARK } else { "" });
        self.shape.where_lookup(self.row, &mut out)?;
        out.push_sql(if self.marks { NOT_MARKED } else { "" });
        Ok(())
    }
}

/// How many rows a lookup matches, up to two.
struct Matches<'a> {
    shape: Shape<'a>,
    row: &'a dyn Row,
}

impl QueryFragment<Pg> for Matches<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.shape.caching(&mut out);
        out.push_sql("SELECT count(*) FROM (SELECT 1 FROM ");
        out.push_sql(&self.shape.table.sql);
        self.shape.where_lookup(self.row, &mut out)?;
        out.push_sql(" LIMIT 2) AS found");
        Ok(())
    }
}

/// How many rows have a NULL in their lookup.
struct Nulls<'a> {
    shape: Shape<'a>,
    source: Source<'a>,
}

impl QueryFragment<Pg> for Nulls<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.shape.caching(&mut out);
        out.push_sql("SELECT count(*) FROM ");
        self.source.walk(false, &mut out)?;
        for (place, column) in self.shape.lookup.iter().enumerate() {
            out.push_sql(if place == 0 { " WHERE " } else { " OR " });
            out.push_sql(&format!("c{column} IS NULL"));
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
        impl RunQueryDsl<PgConnection> for $statement<'_> {}
    )* };
}
by_text!(Insert, UpdateAll, Existing, DeleteAll, Update, Reset, Delete, Matches, Nulls);

macro_rules! gives_a_number {
    ($($statement:ident),*) => { $(
        impl Query for $statement<'_> {
            type SqlType = BigInt;
        }
    )* };
}
gives_a_number!(UpdateAll, Existing, Matches, Nulls);
