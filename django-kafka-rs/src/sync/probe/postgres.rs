//! What PostgreSQL stores.

use std::marker::PhantomData;

use diesel::QueryResult;
use diesel::pg::{Pg, PgQueryBuilder};
use diesel::query_builder::{AstPass, QueryBuilder as _, QueryFragment};
use diesel::result::Error;
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, HasSqlType};

use crate::sync::model::{PostgresArray, Row};

/// A value to bind as SQL type `ST`: `(&PostgresBind::<_, ST>::new(&value)).bind(out)`.
#[derive(Debug)]
pub struct PostgresBind<'b, T, ST>(&'b T, PhantomData<fn() -> ST>);

impl<'b, T, ST> PostgresBind<'b, T, ST> {
    /// Wraps.
    pub fn new(value: &'b T) -> Self {
        Self(value, PhantomData)
    }
}

/// First: PostgreSQL stores it.
pub trait BindPostgres<'b> {
    /// Binds.
    fn bind(&self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()>;
}
impl<'b, T: ToSql<ST, Pg>, ST> BindPostgres<'b> for PostgresBind<'b, T, ST>
where
    Pg: HasSqlType<ST>,
{
    fn bind(&self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_bind_param::<ST, T>(self.0)
    }
}

/// Second: it does not. Start-up refuses the model before any row comes here.
pub trait BindPostgresNone<'b> {
    /// An error.
    fn bind(&self, _out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        Err(not_stored())
    }
}
impl<'b, T, ST> BindPostgresNone<'b> for &PostgresBind<'b, T, ST> {}

/// A column's values in many rows, each of SQL type `ST`:
/// `(&PostgresArrayBind::<_, ST>::new(rows, |row| …)).array()`.
#[expect(missing_debug_implementations, reason = "rows have none, and only generated code sees it")]
pub struct PostgresArrayBind<'b, T, ST> {
    rows: &'b [&'b dyn Row],
    value: fn(&'b dyn Row) -> Option<&'b T>,
    sql_type: PhantomData<fn() -> ST>,
}

impl<'b, T, ST> PostgresArrayBind<'b, T, ST> {
    /// Wraps; `value` is the column's in a row.
    pub fn new(rows: &'b [&'b dyn Row], value: fn(&'b dyn Row) -> Option<&'b T>) -> Self {
        Self { rows, value, sql_type: PhantomData }
    }
}

/// First: PostgreSQL stores the elements.
pub trait ArrayPostgres<'b> {
    /// The parameter.
    fn array(&self) -> QueryResult<PostgresArray<'b>>;
}
impl<'b, T: ToSql<ST, Pg>, ST: 'static> ArrayPostgres<'b> for PostgresArrayBind<'b, T, ST>
where
    Pg: HasSqlType<ST>,
{
    fn array(&self) -> QueryResult<PostgresArray<'b>> {
        let values: Option<Vec<&'b T>> = self.rows.iter().map(|row| (self.value)(*row)).collect();
        let values = values.ok_or_else(|| Error::QueryBuilderError("a row lacks a column of its statement".into()))?;
        Ok(Box::new(ArrayOf { values, sql_type: PhantomData::<fn() -> ST> }))
    }
}

/// Second: it does not. Start-up refuses the model before any row comes here.
pub trait ArrayPostgresNone<'b> {
    /// An error.
    fn array(&self) -> QueryResult<PostgresArray<'b>> {
        Err(not_stored())
    }
}
impl<'b, T, ST> ArrayPostgresNone<'b> for &PostgresArrayBind<'b, T, ST> {}

/// An array as a query's parameter.
struct ArrayOf<'b, T, ST> {
    values: Vec<&'b T>,
    sql_type: PhantomData<fn() -> ST>,
}

impl<T: ToSql<ST, Pg>, ST: 'static> QueryFragment<Pg> for ArrayOf<'_, T, ST>
where
    Pg: HasSqlType<ST>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_bind_param::<Array<ST>, _>(&self.values)
    }
}

/// For an index that is none of the model's columns'.
pub fn no_column<'b>() -> QueryResult<PostgresArray<'b>> {
    Err(Error::QueryBuilderError("the model has no such column".into()))
}

fn not_stored() -> Error {
    Error::QueryBuilderError("PostgreSQL cannot store this column's type".into())
}

/// `<StoresPostgres<T, ST>>::YES`, with [`StoresPostgresNot`] in scope: whether PostgreSQL stores a `T` as `ST`.
#[derive(Debug)]
pub struct StoresPostgres<T, ST>(PhantomData<fn() -> (T, ST)>);

impl<T: ToSql<ST, Pg>, ST> StoresPostgres<T, ST>
where
    Pg: HasSqlType<ST>,
{
    /// It does.
    pub const YES: bool = true;
}

/// It does not.
pub trait StoresPostgresNot {
    /// It does not.
    const YES: bool = false;
}
impl<T> StoresPostgresNot for T {}

/// A table that has a name in PostgreSQL.
pub trait PostgresName {
    /// Its name, quoted and with its schema.
    fn postgres_name(&self) -> String;
}
impl<T: QueryFragment<Pg>> PostgresName for T {
    fn postgres_name(&self) -> String {
        let mut name = PgQueryBuilder::default();
        // Only a table's own name: nothing in it can fail.
        let _ = self.to_sql(&mut name, &Pg);
        name.finish()
    }
}
