//! What `#[derive(TopicReproducer)]` asks of a model: its table, its primary key, how a row of it is loaded.

use std::marker::PhantomData;

use diesel::associations::{HasTable, Identifiable};
use diesel::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::DecodeError;
use crate::format::debezium::{DefaultEncoding, Encoding, Presence};

/// A model that is loaded by its primary key: everything that generated code asks of its types.
#[diagnostic::on_unimplemented(
    message = "rows of `{Self}` cannot be loaded by their primary key",
    label = "not a Diesel model that can be found and loaded",
    note = "derive `Queryable`, `Selectable` and `Identifiable` on `{Self}`; the primary key has at most five \
            columns, whose types implement `serde::Deserialize`"
)]
pub trait Loadable {
    /// The primary key's values.
    type Id: DeserializeOwned + Send + 'static;
    /// The table.
    type Table: HasTable<Table = Self::Table> + super::PostgresName + super::SqliteName;
    /// The names of the primary key's columns.
    fn key_columns() -> Vec<&'static str>;
}

/// Diesel's derive is for every backend, so any will do.
#[cfg(feature = "postgres")]
type AnyBackend = diesel::pg::Pg;
#[cfg(all(feature = "sqlite", not(feature = "postgres")))]
type AnyBackend = diesel::sqlite::Sqlite;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
trait Selected: Selectable<AnyBackend> {}
#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl<M: Selectable<AnyBackend>> Selected for M {}
#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
trait Selected {}
#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
impl<M> Selected for M {}

#[diagnostic::do_not_recommend]
impl<M, T> Loadable for M
where
    M: HasTable<Table = T> + Selected + 'static,
    T: Table + HasTable<Table = T> + super::PostgresName + super::SqliteName,
    &'static M: Identifiable,
    <&'static M as Identifiable>::Id: OwnedId,
    T::PrimaryKey: KeyColumns<<<&'static M as Identifiable>::Id as OwnedId>::Columns>,
{
    type Id = <<&'static M as Identifiable>::Id as OwnedId>::Owned;
    type Table = T;

    fn key_columns() -> Vec<&'static str> {
        T::PrimaryKey::names()
    }
}

/// A primary key's own values, of the references that Diesel gives.
pub trait OwnedId {
    /// The values.
    type Owned: DeserializeOwned + Send + 'static;
    /// How many there are.
    type Columns;
}

/// So many columns.
#[derive(Debug)]
pub struct Columns<const N: usize>;

impl<T: DeserializeOwned + Send + 'static> OwnedId for &T {
    type Owned = T;
    type Columns = Columns<1>;
}

/// The columns of a primary key. Their number keeps one column from a tuple of columns.
pub trait KeyColumns<N> {
    /// Their names.
    fn names() -> Vec<&'static str>;
}
impl<C: Column> KeyColumns<Columns<1>> for C {
    fn names() -> Vec<&'static str> {
        vec![C::NAME]
    }
}

/// How a primary key is read: `(&&ReadId::<I>::new()).read(parts)`.
#[derive(Debug)]
pub struct ReadId<I>(PhantomData<fn() -> I>);

impl<I> ReadId<I> {
    /// The question.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "only generated code makes one")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
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
    ($count:literal: $($part:ident)+) => {
        impl<$($part: DeserializeOwned + Send + 'static),+> OwnedId for ($(&$part,)+) {
            type Owned = ($($part,)+);
            type Columns = Columns<$count>;
        }
        impl<$($part: Column),+> KeyColumns<Columns<$count>> for ($($part,)+) {
            fn names() -> Vec<&'static str> {
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
composite!(2: A B);
composite!(3: A B C);
composite!(4: A B C D);
composite!(5: A B C D E);

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
        let own: Own = ReadId::<Own>::new().read(vec![json!(5)]).unwrap();
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
