//! What SQLite stores.

use std::marker::PhantomData;

use diesel::QueryResult;
use diesel::query_builder::{AstPass, QueryBuilder as _, QueryFragment};
use diesel::serialize::ToSql;
use diesel::sql_types::HasSqlType;
use diesel::sqlite::{Sqlite, SqliteQueryBuilder};

/// A value to bind as SQL type `ST`: `(&SqliteBind::<_, ST>::new(&value)).bind(out)`.
#[derive(Debug)]
pub struct SqliteBind<'b, T, ST>(&'b T, PhantomData<fn() -> ST>);

impl<'b, T, ST> SqliteBind<'b, T, ST> {
    /// Wraps.
    pub fn new(value: &'b T) -> Self {
        Self(value, PhantomData)
    }
}

/// First: SQLite stores it.
pub trait BindSqlite<'b> {
    /// Binds.
    fn bind(&self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()>;
}
impl<'b, T: ToSql<ST, Sqlite>, ST> BindSqlite<'b> for SqliteBind<'b, T, ST>
where
    Sqlite: HasSqlType<ST>,
{
    fn bind(&self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_bind_param::<ST, T>(self.0)
    }
}

/// Second: it does not. Start-up refuses the model before any row comes here.
pub trait BindSqliteNone<'b> {
    /// An error.
    fn bind(&self, _out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        Err(diesel::result::Error::QueryBuilderError("SQLite cannot store this column's type".into()))
    }
}
impl<'b, T, ST> BindSqliteNone<'b> for &SqliteBind<'b, T, ST> {}

/// `<StoresSqlite<T, ST>>::YES`, with [`StoresSqliteNot`] in scope: whether SQLite stores a `T` as `ST`.
#[derive(Debug)]
pub struct StoresSqlite<T, ST>(PhantomData<fn() -> (T, ST)>);

impl<T: ToSql<ST, Sqlite>, ST> StoresSqlite<T, ST>
where
    Sqlite: HasSqlType<ST>,
{
    /// It does.
    pub const YES: bool = true;
}

/// It does not.
pub trait StoresSqliteNot {
    /// It does not.
    const YES: bool = false;
}
impl<T> StoresSqliteNot for T {}

/// A table that has a name in SQLite.
pub trait SqliteName {
    /// Its name, quoted and with its schema.
    fn sqlite_name(&self) -> String;
}
impl<T: QueryFragment<Sqlite>> SqliteName for T {
    fn sqlite_name(&self) -> String {
        let mut name = SqliteQueryBuilder::default();
        // Only a table's own name: nothing in it can fail.
        let _ = self.to_sql(&mut name, &Sqlite);
        name.finish()
    }
}
