//! What the derives generate, written by hand: the contract between macros and runtime.
use diesel::prelude::*;
use django_kafka_rs::__private as dk;

diesel::table! { customers (id) { id -> BigInt, first_name -> Text, email -> Nullable<Text>, joined -> Date, } }

#[derive(Queryable, Selectable, Identifiable, Insertable, AsChangeset)]
#[diesel(table_name = customers)]
struct Customer {
    id: i64,
    first_name: String,
    email: Option<String>,
    joined: chrono::NaiveDate,
}
fn shout(name: String) -> Result<String, std::num::ParseIntError> {
    Ok(name.to_uppercase())
}

const _: () = {
    #[derive(Default)]
    pub struct __DkPatch {
        f0: Option<i64>,
        f1: Option<String>,
        f2: Option<Option<String>>,
        f3: Option<chrono::NaiveDate>,
        error: Option<dk::TransformError>,
    }
    type __St0 = <customers::columns::id as diesel::expression::Expression>::SqlType;
    type __St1 = <customers::columns::first_name as diesel::expression::Expression>::SqlType;

    impl dk::Patch for __DkPatch {
        fn columns_of(message_field: &str) -> &'static [usize] {
            match message_field {
                "id" => &[0],
                "name" => &[1],
                "email" => &[2],
                "joined" => &[3],
                _ => &[],
            }
        }
        fn read<'de, D: dk::serde::Deserializer<'de>>(
            &mut self,
            column: usize,
            value: D,
            schema: Option<&dk::FieldSchema>,
        ) -> Result<(), D::Error> {
            #[allow(unused_imports)]
            use dk::probe::{
                EncodingBySerde as _, EncodingByType as _, EncodingOfNone as _, FinishResult as _, FinishValue as _,
            };
            match column {
                0 => {
                    self.f0 = dk::probe::read::<i64, _, D>(
                        &(&&dk::probe::EncodingOf::<i64>::new()).encoding(),
                        value,
                        schema,
                    )?;
                }
                1 => {
                    let transform = dk::probe::transform(shout);
                    let encoding = (&&transform.input()).encoding();
                    self.f1 = match transform.read(&encoding, value, schema)? {
                        None => None,
                        Some(output) => match (&output).finish() {
                            Ok(v) => Some(v),
                            Err(error) => {
                                self.error = Some(dk::TransformError::new("first_name", error));
                                return Err(dk::serde::de::Error::custom("first_name"));
                            }
                        },
                    };
                }
                2 => {
                    self.f2 = dk::probe::read::<Option<String>, _, D>(
                        &(&&dk::probe::EncodingOf::<Option<String>>::new()).encoding(),
                        value,
                        schema,
                    )?;
                }
                3 => {
                    self.f3 = dk::probe::read::<chrono::NaiveDate, _, D>(
                        &(&&dk::probe::EncodingOf::<chrono::NaiveDate>::new()).encoding(),
                        value,
                        schema,
                    )?;
                }
                _ => {}
            }
            Ok(())
        }
        fn take_error(&mut self) -> Option<dk::TransformError> {
            self.error.take()
        }
        fn adopt(&mut self, column: usize, from: &mut Self) {
            match column {
                0 => {
                    if let Some(v) = from.f0.take() {
                        self.f0 = Some(v)
                    }
                }
                _ => {}
            }
        }
        fn compute(&mut self, _cx: &dk::SyncContext<'_>) -> Result<(), dk::ConsumeError> {
            Ok(())
        }
    }
    impl dk::Row for __DkPatch {
        fn present(&self) -> dk::ColumnSet {
            let mut set = dk::ColumnSet::EMPTY;
            if self.f0.is_some() {
                set = set.with(0)
            }
            if self.f1.is_some() {
                set = set.with(1)
            }
            if self.f2.is_some() {
                set = set.with(2)
            }
            if self.f3.is_some() {
                set = set.with(3)
            }
            set
        }
        fn fill_insert_defaults(&mut self) {}
        fn hash_column(&self, column: usize, state: &mut dyn std::hash::Hasher) -> bool {
            #[allow(unused_imports)]
            use dk::probe::{HashFeed as _, HashNone as _};
            match column {
                0 => match &self.f0 {
                    Some(v) => (&dk::probe::HashOf(v)).feed(state),
                    None => false,
                },
                _ => false,
            }
        }
        fn eq_column(&self, column: usize, other: &dyn dk::Row) -> bool {
            #[allow(unused_imports)]
            use dk::probe::{HashFeed as _, HashNone as _};
            let Some(other) = other.as_any().downcast_ref::<Self>() else { return false };
            match column {
                0 => match (&self.f0, &other.f0) {
                    (Some(a), Some(b)) => (&dk::probe::HashOf(a)).same(&dk::probe::HashOf(b)),
                    _ => false,
                },
                _ => false,
            }
        }
        dk::postgres! {
        fn bind_postgres<'b>(&'b self, column: usize, mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>) -> diesel::QueryResult<()> {
            #[allow(unused_imports)]
            use dk::probe::{BindPostgres as _, BindPostgresNone as _};
            match column {
                0 => if let Some(v) = &self.f0 { return (&dk::probe::PostgresBind::<_, __St0>::new(v)).bind(out); },
                1 => if let Some(v) = &self.f1 { return (&dk::probe::PostgresBind::<_, __St1>::new(v)).bind(out); },
                _ => {}
            }
            out.push_sql("NULL");
            Ok(())
        }
        fn postgres_array<'b>(&self, column: usize, rows: &'b [&'b dyn dk::Row]) -> diesel::QueryResult<dk::PostgresArray<'b>> {
            #[allow(unused_imports)]
            use dk::probe::{ArrayPostgres as _, ArrayPostgresNone as _};
            match column {
                0 => (&dk::probe::PostgresArrayBind::<_, __St0>::new(rows, |row| row.as_any().downcast_ref::<Self>().and_then(|row| row.f0.as_ref()))).array(),
                _ => dk::probe::no_column(),
            }
        }
        }
        dk::sqlite! {
        fn bind_sqlite<'b>(&'b self, column: usize, mut out: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>) -> diesel::QueryResult<()> {
            #[allow(unused_imports)]
            use dk::probe::{BindSqlite as _, BindSqliteNone as _};
            match column {
                0 => if let Some(v) = &self.f0 { return (&dk::probe::SqliteBind::<_, __St0>::new(v)).bind(out); },
                1 => if let Some(v) = &self.f1 { return (&dk::probe::SqliteBind::<_, __St1>::new(v)).bind(out); },
                _ => {}
            }
            out.push_sql("NULL");
            Ok(())
        }
        }
        fn as_any(&self) -> &dyn std::any::Any {
            self
        }
    }
    const _: () = dk::probe::assert_column::<i64, __St0>();
    impl dk::SyncModel for Customer {
        type Table = customers::table;
        type Patch = __DkPatch;
        const DESCRIPTOR: dk::ModelDescriptor = dk::ModelDescriptor {
            type_name: "Customer",
            columns: &[dk::ColumnDescriptor {
                field: "id",
                column: <customers::columns::id as diesel::Column>::NAME,
                message_field: Some("id"),
                insert_default: false,
                stores_postgres: dk::stores_postgres!(i64, __St0),
                stores_sqlite: {
                    #[allow(unused_imports)]
                    use dk::probe::StoresSqliteNot as _;
                    <dk::probe::StoresSqlite<i64, __St0>>::YES
                },
            }],
            primary_key: &[0],
            options: dk::SyncOptions::NONE,
            table: || dk::table_name("customers", customers::table),
            decode: dk::decode_message::<__DkPatch>,
            location: dk::Location { file: file!(), line: line!() },
        };
    }
    impl dk::ColumnOf<Customer> for customers::columns::email {
        type Field = Option<String>;
        const INDEX: usize = 2;
        fn set(patch: &mut __DkPatch, value: Option<String>) {
            patch.f2 = Some(value)
        }
    }
    // #[topic(name = "customers")]
    impl dk::Topic for Customer {
        type Key = dk::serde_json::Value;
        type Value = dk::serde_json::Value;
        type KeyFormat = dk::Json;
        type ValueFormat = dk::Json;
        const DECLARATION: dk::TopicDeclaration =
            dk::TopicDeclaration::new("Customer", "customers", dk::Location { file: file!(), line: line!() });
        fn __construct() -> Option<Self> {
            None
        }
    }
    impl dk::ModelTopicConsumer for Customer {
        const MODEL_TOPIC: dk::ModelTopic = dk::ModelTopic {
            dialect: dk::Dialect::Debezium,
            targets: dk::Targets::One(&<Customer as dk::SyncModel>::DESCRIPTOR),
            options: dk::SyncOptions::NONE,
            key_to_json: dk::to_json::<<Customer as dk::Topic>::KeyFormat>,
            value_to_json: dk::to_json::<<Customer as dk::Topic>::ValueFormat>,
        };
    }
    impl dk::ConsumedTopic for Customer {
        fn __handler() -> dk::HandlerSource {
            dk::HandlerSource::Models(&<Self as dk::ModelTopicConsumer>::MODEL_TOPIC)
        }
    }
    #[dk::linkme::distributed_slice(dk::DECLARATIONS)]
    #[linkme(crate = dk::linkme)]
    static __DK_MODEL: dk::Declaration = dk::Declaration::Model(&<Customer as dk::SyncModel>::DESCRIPTOR);
};

#[test]
fn compiles() {
    let _ = dk::TopicEntry::of::<Customer>();
    assert!(<Customer as dk::SyncModel>::DESCRIPTOR.columns[0].stores_sqlite);
    assert_eq!((<Customer as dk::SyncModel>::DESCRIPTOR.table)().sqlite, "`customers`");
    assert_eq!((<Customer as dk::SyncModel>::DESCRIPTOR.table)().postgres, "\"customers\"");
}
