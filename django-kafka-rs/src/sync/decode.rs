//! From bytes to patches: unwraps what wraps a row, then reads the row straight into the model's patch by serde.

use super::context::SyncContext;
use super::model::{ColumnSet, Dialect, Envelope, Patch, Row};
use crate::error::ConsumeError;
use crate::record::RawRecord;

/// How a topic's messages are to be read for one model: options of topic and model already joined, names resolved.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct ReadPlan {
    /// Whose conventions.
    pub dialect: Dialect,
    /// `envelope`.
    pub envelope: Envelope,
    /// `exclude(…)`.
    pub exclude: Vec<&'static str>,
    /// The lookup's columns, each with whether the whole key is its value.
    pub lookup: Vec<(usize, bool)>,
    /// `lookup_with`.
    pub lookup_with: Option<fn(&SyncContext<'_>) -> Result<super::model::ErasedLookup, ConsumeError>>,
    /// `is_deletion`.
    pub is_deletion: Option<fn(&SyncContext<'_>) -> Result<bool, ConsumeError>>,
    /// `deleted_field`; Debezium's `__deleted` where nothing is said and the dialect is Debezium's.
    pub deleted_field: Option<&'static str>,
    /// The model's columns, for messages.
    pub columns: &'static [super::model::ColumnDescriptor],
    /// The table, for messages.
    pub table: &'static str,
}

/// What a message asks of the model's table.
#[doc(hidden)]
pub enum Decoded {
    /// Write the row. Its lookup columns are set.
    Upsert { row: Box<dyn Row>, lookup: ColumnSet },
    /// Delete the row. Its lookup columns are set, no other.
    Delete { row: Box<dyn Row>, lookup: ColumnSet },
    /// Nothing to do: Debezium's `m` messages.
    Ignore,
}

/// A message whose key and value are JSON text, whatever the topic's formats were.
#[doc(hidden)]
#[derive(Debug)]
pub struct JsonMessage<'a> {
    /// As it came.
    pub raw: &'a RawRecord,
    /// The key as JSON text.
    pub key: Option<std::borrow::Cow<'a, [u8]>>,
    /// The value as JSON text.
    pub value: Option<std::borrow::Cow<'a, [u8]>>,
}

/// The typed reader behind a pointer.
#[doc(hidden)]
pub type DecodeFn = fn(&ReadPlan, &JsonMessage<'_>) -> Result<Decoded, ConsumeError>;

/// Reads one message.
#[doc(hidden)]
pub fn decode_message<P: Patch>(_plan: &ReadPlan, _message: &JsonMessage<'_>) -> Result<Decoded, ConsumeError> {
    Err("work in progress".into())
}

/// Reads a field's value; `None` where it is Debezium's placeholder.
pub(crate) fn read_present<'de, T, E: super::probe::Readable<T>, D: serde::Deserializer<'de>>(
    value: D,
    schema: Option<&crate::format::FieldSchema>,
) -> Result<Option<T>, D::Error> {
    match E::read(value, schema)? {
        crate::format::debezium::Presence::Present(v) => Ok(Some(v)),
        crate::format::debezium::Presence::Unavailable => Ok(None),
    }
}
