//! A message's key and value in whatever format they came, and what wraps a row, taken off: the JSON converter's
//! `{"schema", "payload"}`, and Debezium's envelope.

use std::borrow::Cow;
use std::sync::Arc;

use super::json;
use super::plan::ReadPlan;
use super::schemas::RowSchema;
use crate::error::{ConsumeError, DecodeError};
#[cfg(feature = "avro")]
use crate::format::avro::{self, Datum, Schema};
use crate::format::debezium::quoted;
use crate::record::{Headers, RawRecord};
use crate::sync::context::SyncContext;
use crate::sync::model::{ModelTopic, PartFormat};
use crate::topic::{NoSchemas, SchemaSource};

/// A message whose key and value can be read.
#[doc(hidden)]
#[derive(Debug)]
pub struct Message<'a> {
    /// As it came.
    raw: &'a RawRecord,
    key: Option<Part<'a>>,
    value: Option<Part<'a>>,
}

impl<'a> Message<'a> {
    /// Key and value by the topic's formats.
    ///
    /// # Errors
    /// The key or the value is not of the topic's format, or its schema cannot be had.
    pub(crate) fn new(
        raw: &'a RawRecord,
        topic: &ModelTopic,
        schemas: &dyn SchemaSource,
    ) -> Result<Self, ConsumeError> {
        let key = raw.key.as_deref().map(|bytes| Part::key(bytes, raw, topic.key_format, schemas)).transpose()?;
        let value =
            raw.value.as_deref().map(|bytes| Part::value(bytes, raw, topic.value_format, schemas)).transpose()?;
        Ok(Self { raw, key, value })
    }

    /// The same of formats that need no schemas.
    ///
    /// # Errors
    /// As with schemas, or the topic's format needs them.
    pub fn without_schemas(raw: &'a RawRecord, topic: &ModelTopic) -> Result<Self, ConsumeError> {
        Self::new(raw, topic, &NoSchemas)
    }

    /// The same with schemas that are known.
    ///
    /// # Errors
    /// As with a registry.
    #[cfg(feature = "avro")]
    pub fn with_schemas(
        raw: &'a RawRecord,
        topic: &ModelTopic,
        schemas: &crate::topic::KnownSchemas,
    ) -> Result<Self, ConsumeError> {
        Self::new(raw, topic, schemas)
    }

    /// As it came.
    pub(crate) fn raw(&self) -> &'a RawRecord {
        self.raw
    }

    /// The key; `None` where there is none.
    pub(crate) fn key(&self) -> Option<Body<'_>> {
        self.key.as_ref().map(Part::body)
    }
}

/// A key or value with what it is read by.
#[derive(Debug)]
enum Part<'a> {
    Json(Cow<'a, [u8]>),
    #[cfg(feature = "avro")]
    Avro(Arc<Schema>, &'a [u8]),
}

impl<'a> Part<'a> {
    fn key(
        bytes: &'a [u8],
        raw: &RawRecord,
        format: PartFormat,
        schemas: &dyn SchemaSource,
    ) -> Result<Self, ConsumeError> {
        match format {
            PartFormat::Json(to_json) => json::key_json(bytes, to_json).map(Self::Json).map_err(Into::into),
            PartFormat::Avro(declared) => Self::avro("key", bytes, &raw.headers, declared, schemas),
        }
    }

    fn value(
        bytes: &'a [u8],
        raw: &RawRecord,
        format: PartFormat,
        schemas: &dyn SchemaSource,
    ) -> Result<Self, ConsumeError> {
        match format {
            PartFormat::Json(to_json) => {
                let json = to_json(bytes).map_err(|e| DecodeError::caused_by(format!("value: {e}"), e))?;
                Ok(Self::Json(json))
            }
            PartFormat::Avro(declared) => Self::avro("value", bytes, &raw.headers, declared, schemas),
        }
    }

    #[cfg(feature = "avro")]
    fn avro(
        part: &str,
        bytes: &'a [u8],
        headers: &Headers,
        declared: Option<&'static str>,
        schemas: &dyn SchemaSource,
    ) -> Result<Self, ConsumeError> {
        let (id, bytes) =
            avro::split_part(part, bytes, headers).map_err(|e| DecodeError::caused_by(format!("{part}: {e}"), e))?;
        let schema = schemas.reading(id, declared).map_err(|error| error.in_context(part))?;
        Ok(Self::Avro(schema, bytes))
    }

    #[cfg(not(feature = "avro"))]
    fn avro(
        _part: &str,
        _bytes: &'a [u8],
        _headers: &Headers,
        _declared: Option<&'static str>,
        _schemas: &dyn SchemaSource,
    ) -> Result<Self, ConsumeError> {
        Err(DecodeError::new("this build reads no Avro: enable the feature `avro` of `django-kafka-rs`").into())
    }

    fn body(&self) -> Body<'_> {
        match self {
            Self::Json(json) => Body::Json(json),
            #[cfg(feature = "avro")]
            Self::Avro(schema, bytes) => Body::Avro(Datum::new(schema, bytes)),
        }
    }
}

/// A value that is there, or a part of one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'m> {
    /// JSON text.
    Json(&'m [u8]),
    #[cfg(feature = "avro")]
    Avro(Datum<'m>),
}

/// What a value is as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Object,
    Array,
    Scalar,
}

impl Body<'_> {
    pub(super) fn shape(self) -> Shape {
        match self {
            Self::Json(json) => json::shape(json),
            #[cfg(feature = "avro")]
            Self::Avro(datum) => match datum.shape() {
                avro::Shape::Record => Shape::Object,
                avro::Shape::Array => Shape::Array,
                avro::Shape::Null | avro::Shape::Scalar => Shape::Scalar,
            },
        }
    }

    /// What it holds, for an error: an object's fields, or the beginning of anything else.
    pub(super) fn held(self) -> String {
        match self {
            Self::Json(json) => json::held(json),
            #[cfg(feature = "avro")]
            Self::Avro(datum) => {
                let names: Vec<_> = datum.field_names().map(|name| format!("`{name}`")).collect();
                if names.is_empty() { datum.describe() } else { format!("the fields {}", names.join(", ")) }
            }
        }
    }

    /// Reads it as a `T`.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(self) -> Result<T, DecodeError> {
        match self {
            Self::Json(json) => {
                serde_json::from_slice(json).map_err(|error| DecodeError::caused_by(error.to_string(), error))
            }
            #[cfg(feature = "avro")]
            Self::Avro(datum) => datum.read().map_err(|error| DecodeError::caused_by(error.to_string(), error)),
        }
    }
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// A row to write, unless it or its absence says a deletion.
    Row,
    /// A deletion; the value is the row as it was, where it is known.
    Deletion,
    /// Nothing that concerns rows.
    Nothing,
}

/// Key and value without their wrapping. `None` is null.
#[derive(Debug)]
pub(super) struct Unwrapped<'m> {
    pub(super) key: Option<Body<'m>>,
    pub(super) key_schema: Option<Arc<RowSchema>>,
    pub(super) value: Option<Body<'m>>,
    pub(super) value_schema: Option<Arc<RowSchema>>,
    pub(super) change: Change,
}

impl<'m> Unwrapped<'m> {
    pub(super) fn new(plan: &ReadPlan, message: &'m Message<'_>) -> Result<Self, DecodeError> {
        let (key, key_schema) = payload(plan, message.key.as_ref(), "key")?;
        let (value, value_schema) = payload(plan, message.value.as_ref(), "value")?;
        let flat = Self { key, key_schema, value, value_schema, change: Change::Row };
        match value.map(|value| envelope(plan, value)).transpose()?.flatten() {
            Some(envelope) => flat.open(&envelope),
            None => Ok(flat),
        }
    }

    pub(super) fn context<'a>(&'a self, raw: &'a RawRecord) -> SyncContext<'a> {
        SyncContext::new(raw, self.key, self.value)
    }

    fn open(self, envelope: &DebeziumEnvelope<'m>) -> Result<Self, DecodeError> {
        let schema = self.value_schema.as_deref();
        match envelope.op {
            "c" | "u" | "r" => match envelope.after {
                Some(after) => Ok(Self { value: Some(after), value_schema: schema.and_then(RowSchema::after), ..self }),
                None => Err(DecodeError::new(format!(
                    "Debezium's operation `{}` writes a row, but the message has no `after`",
                    envelope.op
                ))),
            },
            "d" => Ok(Self {
                value: envelope.before,
                value_schema: schema.and_then(RowSchema::before),
                change: Change::Deletion,
                ..self
            }),
            "m" => Ok(Self { value: None, value_schema: None, change: Change::Nothing, ..self }),
            "t" => Err(DecodeError::new(
                "Debezium's operation `t` says that the whole table was truncated, which is not applied; delete the \
                 rows by hand, or leave the operation out with `skipped.operations = t` in the connector",
            )),
            unknown => Err(DecodeError::new(format!(
                "unknown operation {} in Debezium's envelope; known are c, u, r, d, t and m",
                quoted(unknown)
            ))),
        }
    }
}

/// Debezium's envelope.
pub(super) struct DebeziumEnvelope<'m> {
    pub(super) op: &'m str,
    pub(super) before: Option<Body<'m>>,
    pub(super) after: Option<Body<'m>>,
}

pub(super) const ENVELOPE: [&str; 9] =
    ["op", "source", "before", "after", "ts_ms", "ts_us", "ts_ns", "transaction", "message"];

/// What a format wraps around a value, taken off. A null is no value.
#[cfg_attr(not(feature = "avro"), expect(unused_variables, reason = "JSON names the part itself"))]
fn payload<'m>(
    plan: &ReadPlan,
    part: Option<&'m Part<'_>>,
    which: &str,
) -> Result<(Option<Body<'m>>, Option<Arc<RowSchema>>), DecodeError> {
    match part {
        None => Ok((None, None)),
        Some(Part::Json(json)) => {
            let (json, schema) = json::payload(plan, Some(json));
            Ok((json.map(Body::Json), schema))
        }
        #[cfg(feature = "avro")]
        Some(Part::Avro(schema, bytes)) => {
            let datum = Datum::new(schema, bytes).unwrapped();
            let datum = datum.map_err(|error| DecodeError::caused_by(format!("{which}: {error}"), error))?;
            Ok((Some(datum).filter(|datum| datum.shape() != avro::Shape::Null).map(Body::Avro), None))
        }
    }
}

/// Debezium's envelope; `None` where the value is a row.
fn envelope<'m>(plan: &ReadPlan, value: Body<'m>) -> Result<Option<DebeziumEnvelope<'m>>, DecodeError> {
    match value {
        Body::Json(json) => json::envelope(plan, json),
        #[cfg(feature = "avro")]
        Body::Avro(datum) => super::avro::envelope(plan, datum),
    }
}
