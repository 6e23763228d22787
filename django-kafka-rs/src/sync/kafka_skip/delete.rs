//! Deletions whose rows are marked first.

use std::marker::PhantomData;

use diesel::associations::HasTable;
use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{
    AsChangeset, AsQuery, AstPass, DeleteStatement, IntoUpdateTarget, QueryFragment, QueryId, UpdateStatement,
};
use diesel::query_dsl::methods::ExecuteDsl;

use super::COLUMN;

/// Two statements, in a transaction: the mark, and the deletion. Made by
/// [`delete_rows`](super::KafkaConnectSkip::delete_rows).
#[must_use = "nothing is deleted before `execute`"]
#[derive(Debug, Clone, Copy)]
pub struct DeleteRows<T> {
    target: T,
    mark: bool,
}

impl<T> DeleteRows<T> {
    pub(super) fn new(target: T) -> Self {
        Self { target, mark: true }
    }

    /// Takes the mark off the rows instead, so that a connector tells of the deletion, whoever wrote them last.
    pub fn emitted(self) -> Self {
        Self { mark: false, ..self }
    }

    /// Deletes the rows; gives their number.
    ///
    /// # Errors
    /// The database's. Nothing is marked or deleted then.
    pub fn execute<C>(self, conn: &mut C) -> QueryResult<usize>
    where
        C: Connection,
        T: IntoUpdateTarget + HasTable + Clone,
        T::Table: Table,
        UpdateStatement<T::Table, T::WhereClause, SetMark<T::Table>>: AsQuery + ExecuteDsl<C>,
        DeleteStatement<T::Table, T::WhereClause>: ExecuteDsl<C>,
    {
        conn.transaction(|conn| {
            let mark = SetMark { mark: self.mark, table: PhantomData };
            ExecuteDsl::execute(diesel::update(self.target.clone()).set(mark), conn)?;
            ExecuteDsl::execute(diesel::delete(self.target), conn)
        })
    }
}

/// `kafka_skip = true`, or `= false`.
#[derive(Debug, Clone, Copy)]
pub struct SetMark<T> {
    mark: bool,
    table: PhantomData<fn() -> T>,
}

impl<T: QuerySource> AsChangeset for SetMark<T> {
    type Target = T;
    type Changeset = Self;

    fn as_changeset(self) -> Self {
        self
    }
}

impl<T> QueryId for SetMark<T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T, DB: Backend> QueryFragment<DB> for SetMark<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_identifier(COLUMN)?;
        out.push_sql(if self.mark { " = true" } else { " = false" });
        Ok(())
    }
}
