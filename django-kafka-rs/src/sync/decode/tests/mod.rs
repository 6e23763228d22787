//! Messages against patches written by hand; what the derives write is tested where the derives are.

#[cfg(feature = "avro")]
mod avro;
mod captured;
mod functions;
mod messages;
mod properties;

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::error::ConsumeError;
use crate::record::{Headers, RawRecord};
use crate::sync::decode::{Decoded, Message, ReadPlan};
use crate::sync::model::{
    ColumnDescriptor, ColumnSet, Dialect, ModelDescriptor, ModelTopic, PartFormat, Row, SyncOptions, TableName,
    Targets, to_json,
};
use crate::topic::{Json, Location, NoSchemas, SchemaSource};

/// A row that only its own columns make; binders and hashes are not asked here.
macro_rules! patch {
    ($name:ident, $descriptor:ident, $table:literal, $($index:literal $field:ident: $t:ty, $encoding:ty;)*) => {
        #[derive(Debug, Default, PartialEq)]
        pub(super) struct $name {
            $($field: Option<$t>,)*
        }
        impl crate::sync::model::Patch for $name {
            fn columns_of(message_field: &str) -> &'static [usize] {
                match message_field {
                    $(stringify!($field) => &[$index],)*
                    _ => &[],
                }
            }
            fn read<'de, D: serde::Deserializer<'de>>(
                &mut self,
                column: usize,
                value: D,
                schema: Option<&crate::format::FieldSchema>,
            ) -> Result<(), D::Error> {
                match column {
                    $($index => self.$field =
                        crate::sync::decode::read_present::<$t, $encoding, D>(value, schema)?,)*
                    _ => {}
                }
                Ok(())
            }
            fn adopt(&mut self, column: usize, from: &mut Self) {
                match column {
                    $($index => self.$field = from.$field.take().or(self.$field.take()),)*
                    _ => {}
                }
            }
            fn take_error(&mut self) -> Option<crate::error::TransformError> {
                None
            }
            fn compute(&mut self, _: &crate::sync::SyncContext<'_>) -> Result<(), crate::error::ConsumeError> {
                Ok(())
            }
        }
        impl crate::sync::model::Row for $name {
            fn present(&self) -> crate::sync::ColumnSet {
                let mut set = crate::sync::ColumnSet::EMPTY;
                $(if self.$field.is_some() { set = set.with($index); })*
                set
            }
            $crate::sync::decode::tests::no_row!();
        }
        pub(super) const $descriptor: crate::sync::ModelDescriptor = crate::sync::decode::tests::descriptor(
            stringify!($name),
            &[$(crate::sync::decode::tests::column(stringify!($field)),)*],
            || crate::sync::decode::tests::table($table),
            crate::sync::decode::decode_message::<$name>,
        );
    };
}
use patch;

/// The rest of [`Row`].
macro_rules! no_row {
    () => {
        fn fill_insert_defaults(&mut self) {}
        fn hash_column(&self, _: usize, _: &mut dyn std::hash::Hasher) -> bool {
            false
        }
        fn eq_column(&self, _: usize, _: &dyn crate::sync::model::Row) -> bool {
            false
        }
        #[cfg(feature = "postgres")]
        fn bind_postgres<'b>(
            &'b self,
            _: usize,
            _: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
        ) -> diesel::QueryResult<()> {
            Ok(())
        }
        #[cfg(feature = "postgres")]
        fn postgres_array<'b>(
            &self,
            _: usize,
            _: &'b [&'b dyn crate::sync::model::Row],
        ) -> diesel::QueryResult<crate::sync::PostgresArray<'b>> {
            crate::sync::probe::no_column()
        }
        #[cfg(feature = "sqlite")]
        fn bind_sqlite<'b>(
            &'b self,
            _: usize,
            _: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>,
        ) -> diesel::QueryResult<()> {
            Ok(())
        }
        fn id_value(&self, _: usize) -> crate::sync::IdValue {
            crate::sync::IdValue::Unknown
        }
        fn take_from(&mut self, _: crate::sync::model::ColumnSet, _: &mut dyn crate::sync::model::Row) {}
        fn as_any(&self) -> &dyn std::any::Any {
            self
        }
        fn as_any_mut(&mut self) -> &mut dyn std::any::Any {
            self
        }
    };
}
use no_row;

const fn column(field: &'static str) -> ColumnDescriptor {
    ColumnDescriptor {
        field,
        column: field,
        message_field: Some(field),
        insert_default: false,
        stores_postgres: true,
        stores_sqlite: true,
    }
}

fn table(plain: &'static str) -> TableName {
    TableName {
        plain,
        #[cfg(feature = "postgres")]
        postgres: format!("\"{plain}\""),
        #[cfg(feature = "sqlite")]
        sqlite: format!("`{plain}`"),
    }
}

const fn descriptor(
    type_name: &'static str,
    columns: &'static [ColumnDescriptor],
    table: fn() -> TableName,
    decode: crate::sync::decode::DecodeFn,
) -> ModelDescriptor {
    ModelDescriptor {
        type_name,
        columns,
        primary_key: &[0],
        relations: &[],
        options: SyncOptions::NONE,
        table,
        decode,
        location: Location { file: file!(), line: line!() },
    }
}

const fn topic(dialect: Dialect, targets: Targets) -> ModelTopic {
    ModelTopic {
        dialect,
        targets,
        options: SyncOptions::NONE,
        key_format: PartFormat::Json(to_json::<Json>),
        value_format: PartFormat::Json(to_json::<Json>),
    }
}

/// The topic with options of its own.
fn with(topic: ModelTopic, options: impl FnOnce(&mut SyncOptions)) -> ModelTopic {
    let mut topic = topic;
    options(&mut topic.options);
    topic
}

/// A key for most messages.
const KEY: &str = r#"{"id":1}"#;

fn record(key: Option<&[u8]>, value: Option<&[u8]>) -> RawRecord {
    RawRecord {
        topic: Arc::from("t"),
        partition: 0,
        offset: 0,
        timestamp_ms: None,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: Headers::new(),
        ..RawRecord::default()
    }
}

/// Decodes a message as the runtime does: select, plan, decode.
fn decode(topic: &ModelTopic, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Decoded, ConsumeError> {
    decode_by(topic, &NoSchemas, key, value)
}

/// The same with somebody who knows schemas.
fn decode_by(
    topic: &ModelTopic,
    schemas: &dyn SchemaSource,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Result<Decoded, ConsumeError> {
    let raw = record(key, value);
    let message = Message::new(&raw, topic, schemas)?;
    let (_, model) = super::select(topic, message.key())?;
    let plan = ReadPlan::new(topic, model).map_err(ConsumeError::from)?;
    (model.decode)(&plan, &message)
}

/// What was decoded, as text: the columns that have a value.
fn show<P: Row + Debug>(decoded: Result<Decoded, ConsumeError>) -> String {
    let row = |row: &dyn Row| {
        let row: &dyn Any = row.as_any();
        let text = row.downcast_ref::<P>().map(|row| format!("{row:?}"));
        text.unwrap_or_else(|| "a row of another model".to_owned())
    };
    match decoded {
        Ok(Decoded::Upsert { row: r, lookup }) => format!("upsert by {} {}", columns(lookup), row(&*r)),
        Ok(Decoded::Delete { row: r, lookup }) => format!("delete by {} {}", columns(lookup), row(&*r)),
        Ok(Decoded::Ignore) => "ignore".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

fn columns(set: ColumnSet) -> String {
    format!("{:?}", set.iter().collect::<Vec<_>>())
}
