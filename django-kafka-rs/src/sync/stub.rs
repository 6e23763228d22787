//! What the derives generate beside a mistake of the user's, so that one mistake is one error. The compile error
//! stands next to it: none of this ever runs.

use std::any::Any;
use std::hash::Hasher;

use serde::de::{Deserializer, Error as _};

use super::context::SyncContext;
use super::decode::decode_message;
use super::model::{
    ColumnSet, Dialect, ModelDescriptor, ModelTopic, PartFormat, Row, SyncOptions, Targets, table_name, to_json,
};
use crate::error::{ConsumeError, TransformError};
use crate::format::FieldSchema;
use crate::topic::{Json, Location};

mod schema {
    diesel::table! { stub (id) { id -> Integer, } }
}

/// A table.
pub type Table = schema::stub::table;

/// A model without columns.
pub const DESCRIPTOR: ModelDescriptor = ModelDescriptor {
    type_name: "",
    columns: &[],
    primary_key: &[],
    relations: &[],
    options: SyncOptions::NONE,
    table: || table_name("", schema::stub::table),
    decode: decode_message::<Patch>,
    location: Location { file: file!(), line: line!() },
};

/// A topic of that model.
pub const MODEL_TOPIC: ModelTopic = ModelTopic {
    dialect: Dialect::Plain,
    targets: Targets::One(&DESCRIPTOR),
    options: SyncOptions::NONE,
    key_format: PartFormat::Json(to_json::<Json>),
    value_format: PartFormat::Json(to_json::<Json>),
};

/// A patch without columns.
#[derive(Debug, Default)]
pub struct Patch;

impl super::model::Patch for Patch {
    fn columns_of(_message_field: &str) -> &'static [usize] {
        &[]
    }

    fn read<'de, D: Deserializer<'de>>(
        &mut self,
        _column: usize,
        _value: D,
        _schema: Option<&FieldSchema>,
    ) -> Result<(), D::Error> {
        Err(D::Error::custom("a model without columns"))
    }

    fn adopt(&mut self, _column: usize, _from: &mut Self) {}

    fn take_error(&mut self) -> Option<TransformError> {
        None
    }

    fn compute(&mut self, _cx: &SyncContext<'_>) -> Result<(), ConsumeError> {
        Ok(())
    }
}

impl Row for Patch {
    fn present(&self) -> ColumnSet {
        ColumnSet::EMPTY
    }

    fn fill_insert_defaults(&mut self) {}

    fn hash_column(&self, _column: usize, _state: &mut dyn Hasher) -> bool {
        false
    }

    fn eq_column(&self, _column: usize, _other: &dyn Row) -> bool {
        false
    }

    #[cfg(feature = "postgres")]
    fn bind_postgres<'b>(
        &'b self,
        _column: usize,
        mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
    ) -> diesel::QueryResult<()> {
        out.push_sql("NULL");
        Ok(())
    }

    #[cfg(feature = "postgres")]
    fn postgres_array<'b>(
        &self,
        _column: usize,
        _rows: &'b [&'b dyn Row],
    ) -> diesel::QueryResult<super::model::PostgresArray<'b>> {
        super::probe::no_column()
    }

    #[cfg(feature = "sqlite")]
    fn bind_sqlite<'b>(
        &'b self,
        _column: usize,
        mut out: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>,
    ) -> diesel::QueryResult<()> {
        out.push_sql("NULL");
        Ok(())
    }

    fn id_value(&self, _column: usize) -> super::relation::IdValue {
        super::relation::IdValue::Absent
    }

    fn take_from(&mut self, _columns: ColumnSet, _earlier: &mut dyn Row) {}

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
