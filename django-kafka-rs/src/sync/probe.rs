//! Choices that generated code makes by a field's type, on stable Rust: by method lookup, which tries the receiver
//! as it is before it borrows once more. Each works for concrete types only, which is what generated code has.
//!
//! In each pair the preferred trait is implemented for the wrapper, the fallback for a reference to it; the call is
//! `(&wrapper).method()`, with both traits in scope. Where there are three, they are implemented for `&wrapper`,
//! `&&wrapper` and `wrapper` in the order of preference, and the call is `(&&wrapper).method()`: method lookup first
//! takes the receiver as it is, then borrows it once more, and only then dereferences it.

use std::hash::{Hash, Hasher};

use super::relation::{IdValue, RelationId};

/// A value as a part of a row's identity: `(&HashOf(&value)).feed(state)`.
#[derive(Debug)]
pub struct HashOf<'a, T>(pub &'a T);

/// First: the type has `Hash + Eq`.
pub trait HashFeed {
    /// Feeds; true.
    fn feed(&self, state: &mut dyn Hasher) -> bool;
    /// Whether both are equal.
    fn same(&self, other: &Self) -> bool;
}
impl<T: Hash + Eq> HashFeed for HashOf<'_, T> {
    fn feed(&self, mut state: &mut dyn Hasher) -> bool {
        self.0.hash(&mut state);
        true
    }
    fn same(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Second: it has not, and is never found equal.
pub trait HashNone {
    /// False.
    fn feed(&self, _state: &mut dyn Hasher) -> bool {
        false
    }
    /// False.
    fn same<O>(&self, _other: &O) -> bool {
        false
    }
}
impl<T> HashNone for &HashOf<'_, T> {}

/// A value as a relation names it: `(&IdOf(&value)).id_value()`.
#[derive(Debug)]
pub struct IdOf<'a, T>(pub &'a T);

/// First: the type can identify a row.
pub trait IdFeed {
    /// Its text, or null.
    fn id_value(&self) -> IdValue;
}
impl<T: RelationId> IdFeed for IdOf<'_, T> {
    fn id_value(&self) -> IdValue {
        self.0.relation_id().map_or(IdValue::Null, IdValue::Value)
    }
}

/// Second: it cannot.
pub trait IdNone {
    /// Unknown.
    fn id_value(&self) -> IdValue {
        IdValue::Unknown
    }
}
impl<T> IdNone for &IdOf<'_, T> {}

/// States that a relation's column can identify a row.
pub const fn assert_relation_id<T: RelationId>() {}

mod encoding;
#[cfg(feature = "postgres")]
mod postgres;
mod reproduce;
#[cfg(feature = "sqlite")]
mod sqlite;
mod topic;

pub use self::encoding::{
    EncodingBySerde, EncodingByType, EncodingOf, EncodingOfNone, FinishResult, FinishValue, Gives, Marker,
    NamedForOption, NamedForValue, Output, Readable, Transform, Unreadable, given, output, read, read_named, transform,
};
#[cfg(feature = "postgres")]
pub use self::postgres::{
    ArrayPostgres, ArrayPostgresNone, BindPostgres, BindPostgresNone, PostgresArrayBind, PostgresBind, PostgresName,
    StoresPostgres, StoresPostgresNot, no_column,
};
pub use self::reproduce::{
    Columns, IdBySerde, IdByType, KeyColumns, Loadable, OwnedId, ReadId, key_parts, plain_table_name,
};
#[cfg(feature = "postgres")]
pub use self::reproduce::{LoadByPostgres, LoadByPostgresNot, LoadPostgres};
#[cfg(feature = "sqlite")]
pub use self::reproduce::{LoadBySqlite, LoadBySqliteNot, LoadSqlite};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{BindSqlite, BindSqliteNone, SqliteBind, SqliteName, StoresSqlite, StoresSqliteNot};
pub use self::topic::{
    AnyFormat, DefaultOf, FormatOf, FormatsOf, FormatsOfNone, IsModel, KeyFormatOf, MakeDefault, MakeNothing,
    ModelFormat, ModelKeyFormat, ModelTopicOf, NoModel, NoModelTopic, TopicDefaults, TopicKind,
};

/// A table whose name this build needs not know for PostgreSQL: any.
#[cfg(not(feature = "postgres"))]
pub trait PostgresName {}
#[cfg(not(feature = "postgres"))]
impl<T> PostgresName for T {}

/// A table whose name this build needs not know for SQLite: any.
#[cfg(not(feature = "sqlite"))]
pub trait SqliteName {}
#[cfg(not(feature = "sqlite"))]
impl<T> SqliteName for T {}

/// States at the field's span that its type can be stored in its column.
pub const fn assert_column<T: ColumnValue<ST>, ST>() {}

/// `T` can be written to a column of SQL type `ST`.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be written to a column of type `{ST}`",
    label = "does not fit the column's type in `table!`",
    note = "change the field's type or the column's; `#[sync(skip)]` leaves the field out of the sync"
)]
pub trait ColumnValue<ST> {}
#[diagnostic::do_not_recommend]
impl<T: diesel::expression::AsExpression<ST>, ST: diesel::sql_types::SqlType + diesel::sql_types::SingleValue>
    ColumnValue<ST> for T
{
}

/// As [`assert_column`], for a type that is written `Option<…>`. Diesel takes any `Option` for a nullable column and
/// only looks at what is in it when a query is made.
pub const fn assert_nullable_column<T: OptionColumnValue<ST>, ST>() {}

/// `T`, an `Option`, can be written to a column of SQL type `ST`.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be written to a column of type `{ST}`",
    label = "does not fit the column's type in `table!`",
    note = "an `Option` is for `Nullable` columns: change the field's type or the column's; `#[sync(skip)]` leaves the \
            field out of the sync"
)]
pub trait OptionColumnValue<ST> {}
#[diagnostic::do_not_recommend]
impl<T: ColumnValue<ST>, ST> OptionColumnValue<diesel::sql_types::Nullable<ST>> for Option<T> {}

/// States that a lookup field can identify a row.
pub const fn assert_lookup<T: LookupValue>() {}

/// A type that can identify a row.
#[diagnostic::on_unimplemented(
    message = "a row cannot be looked up by `{Self}`",
    label = "needs `Hash + Eq`",
    note = "a lookup compares values for equality: derive `Hash` and `Eq` on the type, or look up by another field"
)]
pub trait LookupValue {}
#[diagnostic::do_not_recommend]
impl<T: Hash + Eq> LookupValue for T {}

#[cfg(test)]
#[expect(clippy::needless_borrow, reason = "written as generated code has it: for other types the borrow decides")]
mod tests {
    use super::{HashFeed as _, HashNone as _, HashOf};

    #[test]
    fn floats_are_never_a_rows_identity() {
        assert!((&HashOf(&1_i64)).same(&HashOf(&1)));
        assert!(!(&HashOf(&1.0_f64)).same(&HashOf(&1.0)));
    }
}
