//! `save`: an update by the primary key, or an insert, of every column that Diesel's own derives would write.

use diesel::prelude::*;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use diesel::query_builder::{AstPass, QueryFragment, QueryId};

use super::KafkaSkip;
use crate::db::DbConn;
use crate::sync::model::TableName;

/// A column of a model that is saved.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct SavedColumn {
    /// Its SQL name.
    pub name: &'static str,
    /// Whether it belongs to the primary key.
    pub in_key: bool,
    /// Whether updates write it: not with `skip_update`.
    pub in_update: bool,
    /// Whether inserts write it: not with `skip_insertion`.
    pub in_insert: bool,
}

/// What the derive says of a model: its columns, and how their values are bound.
#[doc(hidden)]
pub trait SavedRow {
    /// The columns, at least the key's and `kafka_skip`.
    const __COLUMNS: &'static [SavedColumn];

    /// The table.
    fn __table() -> TableName;

    /// The mark.
    fn __kafka_skip(&mut self) -> &mut KafkaSkip;

    /// Binds the column at this index.
    #[cfg(feature = "postgres")]
    fn __bind_postgres<'b>(&'b self, column: usize, out: AstPass<'_, 'b, diesel::pg::Pg>) -> QueryResult<()>;

    /// Binds the column at this index.
    #[cfg(feature = "sqlite")]
    fn __bind_sqlite<'b>(&'b self, column: usize, out: AstPass<'_, 'b, diesel::sqlite::Sqlite>) -> QueryResult<()>;
}

/// A connection that [`save`](super::KafkaConnectSkip::save) takes: Diesel's, or a [`DbConn`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a connection to PostgreSQL or SQLite",
    note = "give a `PgConnection`, a `SqliteConnection` or a `DbConn`; of a pooled one, what is inside: `&mut *conn`"
)]
pub trait SaveConnection: sealed::Sealed {
    #[doc(hidden)]
    fn save<R: SavedRow>(&mut self, row: &R) -> QueryResult<()>;
}

mod sealed {
    pub trait Sealed {}
    #[cfg(feature = "postgres")]
    impl Sealed for diesel::PgConnection {}
    #[cfg(feature = "sqlite")]
    impl Sealed for diesel::SqliteConnection {}
    impl Sealed for crate::db::DbConn {}
}

impl SaveConnection for DbConn {
    fn save<R: SavedRow>(&mut self, row: &R) -> QueryResult<()> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Pg(conn) => conn.save(row),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(conn) => conn.save(row),
            #[cfg(not(any(feature = "postgres", feature = "sqlite")))]
            _ => {
                let _ = row;
                Ok(())
            }
        }
    }
}

/// `UPDATE t SET a = $1 WHERE id = $2`.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
struct Update<'a, R>(&'a R);
/// `INSERT INTO t (id, a) VALUES ($1, $2)`.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
struct Insert<'a, R>(&'a R);

/// The same for each backend, but for the names of its types and functions.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
macro_rules! backend {
    ($feature:literal, $connection:ty, $backend:ty, $table:ident, $bind:ident) => {
        #[cfg(feature = $feature)]
        impl SaveConnection for $connection {
            fn save<R: SavedRow>(&mut self, row: &R) -> QueryResult<()> {
                self.transaction(|conn| {
                    if Update(row).execute(conn)? == 0 {
                        Insert(row).execute(conn)?;
                    }
                    Ok(())
                })
            }
        }

        #[cfg(feature = $feature)]
        impl<R: SavedRow> QueryFragment<$backend> for Update<'_, R> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, $backend>) -> QueryResult<()> {
                out.push_sql("UPDATE ");
                out.push_sql(&R::__table().$table);
                let mut bind = |keyword: &str, between: &str, wanted: fn(&SavedColumn) -> bool| {
                    let columns = R::__COLUMNS.iter().enumerate().filter(|(_, column)| wanted(column));
                    for (place, (index, column)) in columns.enumerate() {
                        out.push_sql(if place == 0 { keyword } else { between });
                        out.push_identifier(column.name)?;
                        out.push_sql(" = ");
                        self.0.$bind(index, out.reborrow())?;
                    }
                    QueryResult::Ok(())
                };
                bind(" SET ", ", ", |column| column.in_update && !column.in_key)?;
                bind(" WHERE ", " AND ", |column| column.in_key)
            }
        }

        #[cfg(feature = $feature)]
        impl<R: SavedRow> QueryFragment<$backend> for Insert<'_, R> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, $backend>) -> QueryResult<()> {
                let columns = || R::__COLUMNS.iter().enumerate().filter(|(_, column)| column.in_insert);
                out.push_sql("INSERT INTO ");
                out.push_sql(&R::__table().$table);
                for (place, (_, column)) in columns().enumerate() {
                    out.push_sql(if place == 0 { " (" } else { ", " });
                    out.push_identifier(column.name)?;
                }
                out.push_sql(") VALUES (");
                for (place, (index, _)) in columns().enumerate() {
                    out.push_sql(if place == 0 { "" } else { ", " });
                    self.0.$bind(index, out.reborrow())?;
                }
                out.push_sql(")");
                Ok(())
            }
        }

        #[cfg(feature = $feature)]
        impl<R> RunQueryDsl<$connection> for Update<'_, R> {}
        #[cfg(feature = $feature)]
        impl<R> RunQueryDsl<$connection> for Insert<'_, R> {}
    };
}
#[cfg(any(feature = "postgres", feature = "sqlite"))]
backend!("postgres", diesel::PgConnection, diesel::pg::Pg, postgres, __bind_postgres);
#[cfg(any(feature = "postgres", feature = "sqlite"))]
backend!("sqlite", diesel::SqliteConnection, diesel::sqlite::Sqlite, sqlite, __bind_sqlite);

/// Their text is their identity.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl<R> QueryId for Update<'_, R> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}
#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl<R> QueryId for Insert<'_, R> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}
