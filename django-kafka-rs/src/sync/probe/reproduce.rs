//! What `#[derive(TopicReproducer)]` asks of a model: its table, its primary key, how a row of it is loaded.

use std::marker::PhantomData;

use diesel::associations::{HasTable, Identifiable};
use diesel::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::DecodeError;
use crate::format::debezium::{DefaultEncoding, Encoding, Presence};

/// A model that is loaded by its primary key: everything that generated code asks of its types, so that a model which
/// lacks something is one error.
#[diagnostic::on_unimplemented(
    message = "rows of `{Self}` cannot be loaded by their primary key",
    label = "not a Diesel model that can be found and loaded",
    note = "derive `Queryable`, `Selectable` and `Identifiable` on `{Self}`"
)]
pub trait Loadable {
    /// The primary key's values.
    type Id: Send + 'static;
    /// The primary key's columns.
    type Key;
    /// The table.
    type Table;
}

/// Diesel's derive is for every backend, so any will do.
#[cfg(feature = "postgres")]
type AnyBackend = diesel::pg::Pg;
#[cfg(all(feature = "sqlite", not(feature = "postgres")))]
type AnyBackend = diesel::sqlite::Sqlite;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[diagnostic::do_not_recommend]
impl<M, T> Loadable for M
where
    M: HasTable<Table = T> + Selectable<AnyBackend> + 'static,
    T: Table,
    &'static M: Identifiable,
    <&'static M as Identifiable>::Id: OwnedId,
{
    type Id = <<&'static M as Identifiable>::Id as OwnedId>::Owned;
    type Key = T::PrimaryKey;
    type Table = T;
}
#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
#[diagnostic::do_not_recommend]
impl<M, T> Loadable for M
where
    M: HasTable<Table = T> + 'static,
    T: Table,
    &'static M: Identifiable,
    <&'static M as Identifiable>::Id: OwnedId,
{
    type Id = <<&'static M as Identifiable>::Id as OwnedId>::Owned;
    type Key = T::PrimaryKey;
    type Table = T;
}

/// The primary key's own values, of the references that Diesel gives.
pub trait OwnedId {
    /// The values.
    type Owned: Send + 'static;
}
impl<T: Send + 'static> OwnedId for &T {
    type Owned = T;
}

/// The columns of a primary key: `(&&KeyColumns::<K>::new()).names()`.
#[derive(Debug)]
pub struct KeyColumns<K>(PhantomData<fn() -> K>);

/// How a primary key is read: `(&&ReadId::<I>::new()).read(parts)`.
#[derive(Debug)]
pub struct ReadId<I>(PhantomData<fn() -> I>);

macro_rules! questions {
    ($($question:ident)*) => { $(
        impl<T> $question<T> {
            /// The question.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "only generated code makes one")]
            pub fn new() -> Self {
                Self(PhantomData)
            }
        }
    )* };
}
questions!(KeyColumns ReadId);

/// First: one column.
pub trait OneColumn {
    /// Its name.
    fn names(&self) -> Vec<&'static str>;
}
impl<C: Column> OneColumn for &KeyColumns<C> {
    fn names(&self) -> Vec<&'static str> {
        vec![C::NAME]
    }
}

/// Second: several.
pub trait ManyColumns {
    /// Their names.
    fn names(&self) -> Vec<&'static str>;
}

/// First: the types decide how Debezium writes them.
pub trait IdByType<I> {
    /// Reads.
    fn read(&self, parts: Vec<Value>) -> Result<I, DecodeError>;
}
impl<T: DefaultEncoding> IdByType<T> for &ReadId<T> {
    fn read(&self, parts: Vec<Value>) -> Result<T, DecodeError> {
        part(&mut parts.into_iter())
    }
}

/// Second: by their `Deserialize`.
pub trait IdBySerde<I> {
    /// Reads.
    fn read(&self, parts: Vec<Value>) -> Result<I, DecodeError>;
}
impl<I: DeserializeOwned> IdBySerde<I> for ReadId<I> {
    fn read(&self, mut parts: Vec<Value>) -> Result<I, DecodeError> {
        let value = if parts.len() == 1 { parts.remove(0) } else { Value::Array(parts) };
        serde_json::from_value(value).map_err(unreadable)
    }
}

fn part<T: DefaultEncoding>(parts: &mut impl Iterator<Item = Value>) -> Result<T, DecodeError> {
    let value = parts.next().unwrap_or_default();
    match T::Encoding::read(value, None).map_err(unreadable)? {
        Presence::Present(id) => Ok(id),
        Presence::Unavailable => Err(DecodeError::new("the primary key is Debezium's placeholder of a value")),
    }
}

fn unreadable(error: serde_json::Error) -> DecodeError {
    DecodeError::caused_by(format!("the primary key: {error}"), error)
}

macro_rules! composite {
    ($($part:ident)+) => {
        impl<$($part: Send + 'static),+> OwnedId for ($(&$part,)+) {
            type Owned = ($($part,)+);
        }
        impl<$($part: Column),+> ManyColumns for KeyColumns<($($part,)+)> {
            fn names(&self) -> Vec<&'static str> {
                vec![$($part::NAME),+]
            }
        }
        impl<$($part: DefaultEncoding),+> IdByType<($($part,)+)> for &ReadId<($($part,)+)> {
            fn read(&self, parts: Vec<Value>) -> Result<($($part,)+), DecodeError> {
                let mut parts = parts.into_iter();
                Ok(($(part::<$part>(&mut parts)?,)+))
            }
        }
    };
}
composite!(A B);
composite!(A B C);
composite!(A B C D);
composite!(A B C D E);

/// The values of these columns in an event's key, or else in its row. A key that is no object is the value itself.
///
/// # Errors
/// One is in neither.
pub fn key_parts(columns: &[&str], key: &Value, row: &Value) -> Result<Vec<Value>, DecodeError> {
    if let ([_], false) = (columns, key.is_object() || key.is_null()) {
        return Ok(vec![key.clone()]);
    }
    let found = |column: &&str| {
        key.get(*column).or_else(|| row.get(*column)).cloned().ok_or_else(|| {
            let key: String = key.to_string().chars().take(200).collect();
            DecodeError::new(format!(
                "the primary key's `{column}` is neither in the event's key nor in its row; the key is {key}"
            ))
        })
    };
    columns.iter().map(found).collect()
}

/// A table's name, with its schema where it has one, without quotes.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub fn plain_table_name<T: HasTable<Table = T> + super::PostgresName + super::SqliteName>() -> String {
    #[cfg(feature = "postgres")]
    let name = super::PostgresName::postgres_name(&T::table());
    #[cfg(not(feature = "postgres"))]
    let name = super::SqliteName::sqlite_name(&T::table());
    name.replace(['"', '`'], "")
}

/// A table's name: there is no database in this build that could say it.
#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
pub fn plain_table_name<T>() -> String {
    std::any::type_name::<T>().to_owned()
}

/// How a row is loaded, for each database: `(&LoadPostgres::<M, I>::new()).load(conn, id)`, and whether it can be.
macro_rules! loader {
    ($feature:literal, $question:ident, $yes:ident, $no:ident, $connection:ty, $backend:ty, $name:literal) => {
        #[doc = concat!("How ", $name, " loads a model by its primary key.")]
        #[cfg(feature = $feature)]
        #[derive(Debug)]
        pub struct $question<M, I>(PhantomData<fn() -> (M, I)>);

        #[cfg(feature = $feature)]
        impl<M, I> $question<M, I> {
            /// The question.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "only generated code makes one")]
            pub fn new() -> Self {
                Self(PhantomData)
            }
        }

        /// First: it does.
        #[cfg(feature = $feature)]
        pub trait $yes<M, I> {
            /// Loads.
            fn load(&self, conn: &mut $connection, id: I) -> QueryResult<Option<M>>;
        }
        #[cfg(feature = $feature)]
        impl<M, I, T> $yes<M, I> for &$question<M, I>
        where
            M: HasTable<Table = T> + Selectable<$backend>,
            M::SelectExpression: diesel::query_builder::QueryId,
            T: Table + diesel::query_dsl::methods::FindDsl<I>,
            diesel::dsl::Find<T, I>: diesel::query_dsl::methods::SelectDsl<diesel::dsl::AsSelect<M, $backend>>,
            diesel::dsl::Select<diesel::dsl::Find<T, I>, diesel::dsl::AsSelect<M, $backend>>:
                diesel::query_dsl::methods::LoadQuery<'static, $connection, M>,
        {
            fn load(&self, conn: &mut $connection, id: I) -> QueryResult<Option<M>> {
                use diesel::query_dsl::methods::{FindDsl, SelectDsl};
                let query =
                    SelectDsl::select(FindDsl::find(M::table(), id), <M as SelectableHelper<$backend>>::as_select());
                diesel::query_dsl::methods::LoadQuery::internal_load(query, conn)?.next().transpose()
            }
        }

        /// Second: it does not have the types of its columns.
        #[cfg(feature = $feature)]
        pub trait $no<M, I> {
            /// An error.
            fn load(&self, _conn: &mut $connection, _id: I) -> QueryResult<Option<M>> {
                Err(diesel::result::Error::QueryBuilderError(
                    concat!(
                        $name,
                        " cannot load the model: derive `Queryable` and `Selectable`, with types that it has"
                    )
                    .into(),
                ))
            }
        }
        #[cfg(feature = $feature)]
        impl<M, I> $no<M, I> for $question<M, I> {}
    };
}
loader!("postgres", LoadPostgres, LoadByPostgres, LoadByPostgresNot, PgConnection, diesel::pg::Pg, "PostgreSQL");
loader!("sqlite", LoadSqlite, LoadBySqlite, LoadBySqliteNot, SqliteConnection, diesel::sqlite::Sqlite, "SQLite");

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_read_as_debezium_writes_them() {
        let id: i64 = (&&ReadId::<i64>::new()).read(vec![json!(5)]).unwrap();
        assert_eq!(id, 5);
        type Pair = (String, chrono::NaiveDate);
        let pair: Pair = (&&ReadId::<Pair>::new()).read(vec![json!("a"), json!(365)]).unwrap();
        assert_eq!(pair, ("a".to_owned(), chrono::NaiveDate::from_ymd_opt(1971, 1, 1).unwrap()));
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Own(i64);
        let own: Own = (&&ReadId::<Own>::new()).read(vec![json!(5)]).unwrap();
        assert_eq!(own, Own(5));
        let error = (&&ReadId::<i64>::new()).read(vec![json!("five")]).unwrap_err();
        assert!(error.to_string().starts_with("the primary key: "), "{error}");
    }

    #[test]
    fn keys_are_looked_for_in_key_and_row() {
        let (key, row) = (json!({"a": 1}), json!({"a": 7, "b": 2}));
        assert_eq!(key_parts(&["a", "b"], &key, &row).unwrap(), [json!(1), json!(2)]);
        assert_eq!(key_parts(&["a"], &json!("text"), &row).unwrap(), [json!("text")]);
        assert_eq!(key_parts(&["a"], &Value::Null, &row).unwrap(), [json!(7)]);
        let error = key_parts(&["c"], &key, &row).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the primary key's `c` is neither in the event's key nor in its row; the key is {"a":1}"#
        );
    }
}
