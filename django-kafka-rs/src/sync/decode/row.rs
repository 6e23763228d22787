//! A row's bytes straight into a patch.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{beginning, clipped};
use super::message::Body;
use super::plan::ReadPlan;
use super::schemas::RowSchema;
use crate::error::{ConsumeError, DecodeError, TransformError};
use crate::format::FieldSchema;
use crate::sync::model::{ColumnSet, Patch};

/// Which part of the message is read, for errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Value,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
        })
    }
}

/// Why a row or a column was not read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// A field's value, or the row as a whole.
    Decode(DecodeError),
    /// A `with` function.
    Transform(TransformError),
    /// The bytes are not of their format: nothing that a second look could find.
    Unreadable(DecodeError),
}

impl From<ReadError> for ConsumeError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Decode(error) | ReadError::Unreadable(error) => error.into(),
            ReadError::Transform(error) => error.into(),
        }
    }
}

/// What is read of an object, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'s> {
    pub(super) plan: &'s ReadPlan,
    pub(super) part: Part,
    pub(super) schema: Option<&'s RowSchema>,
    /// Only these columns; `None`: all but what `exclude` names.
    pub(super) only: Option<ColumnSet>,
}

impl Source<'_> {
    /// Reads an object's fields into the patch; returns whether `deleted_field` says that the row is deleted.
    pub(super) fn read_row<P: Patch>(self, row: Body<'_>, patch: &mut P) -> Result<bool, ReadError> {
        match row {
            Body::Json(json) => self.read_json_row(json, patch),
            #[cfg(feature = "avro")]
            Body::Avro(datum) => self.read_avro_row(datum, patch),
        }
    }

    /// Reads a whole value into one column.
    pub(super) fn read_column<P: Patch>(self, value: Body<'_>, column: usize, patch: &mut P) -> Result<(), ReadError> {
        match value {
            Body::Json(json) => self.read_json_column(json, column, patch),
            #[cfg(feature = "avro")]
            Body::Avro(datum) => self.read_avro_column(datum, column, patch),
        }
    }

    fn read_json_row<P: Patch>(self, json: &[u8], patch: &mut P) -> Result<bool, ReadError> {
        let mut reader = Reader { source: self, patch, failed: Failed::Nowhere, deleted: false };
        let mut bytes = serde_json::Deserializer::from_slice(json);
        let read = bytes.deserialize_map(&mut reader).and_then(|()| bytes.end());
        let (failed, deleted) = (reader.failed, reader.deleted);
        match read {
            Ok(()) => Ok(deleted),
            Err(error) => Err(self.error(json, &error, failed, patch)),
        }
    }

    fn read_json_column<P: Patch>(self, json: &[u8], column: usize, patch: &mut P) -> Result<(), ReadError> {
        let mut bytes = serde_json::Deserializer::from_slice(json);
        let schema = self.schema.map(|schema| &schema.whole);
        let read = patch.read(column, &mut bytes, schema).and_then(|()| bytes.end());
        read.map_err(|error| self.error(json, &error, Failed::Column(column), patch))
    }

    #[cold]
    fn error<P: Patch>(self, json: &[u8], error: &serde_json::Error, failed: Failed, patch: &mut P) -> ReadError {
        if let Some(error) = patch.take_error() {
            return ReadError::Transform(error);
        }
        let part = self.part;
        if error.is_syntax() || error.is_eof() {
            return ReadError::Unreadable(DecodeError::new(format!(
                "the {part} is not JSON ({error}): {}; if the topic has another format, name it with `{part}_format` \
                 in `#[topic(…)]`",
                beginning(json)
            )));
        }
        ReadError::Decode(self.located(failed, &without_position(error)))
    }

    /// An error with where it is.
    pub(super) fn located(self, failed: Failed, what: &str) -> DecodeError {
        let part = self.part;
        DecodeError::new(match failed {
            Failed::Column(column) => {
                let of_key = if part == Part::Key { "key " } else { "" };
                format!("{of_key}{}: {what}", self.plan.name(column))
            }
            Failed::DeletedField => {
                format!("field `{}`: {what}", self.plan.deleted_field.unwrap_or_default())
            }
            Failed::Nowhere => format!("the {part} is not a row of `{}`: {what}", self.plan.table),
        })
    }

    /// What becomes of the field of this name.
    pub(super) fn target<P: Patch>(self, name: &str) -> Target {
        // The deletion's mark is the value's, not the key's; and what `exclude` names stays out of rows, not of lookups.
        let is_deleted_field = self.part == Part::Value && self.plan.deleted_field == Some(name);
        let excluded = self.only.is_none() && self.plan.exclude.contains(&name);
        let columns = if excluded { &[] } else { P::columns_of(name) };
        match columns {
            [] if !is_deleted_field => Target::Nothing,
            [column] if !is_deleted_field => {
                if self.wants(*column) {
                    Target::Column(*column)
                } else {
                    Target::Nothing
                }
            }
            columns => Target::Several { columns, is_deleted_field },
        }
    }
}

/// The error without `serde_json`'s position, which says nothing beside the field's name.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).map(str::to_owned).unwrap_or(text)
}

/// Where the reading stopped.
#[derive(Debug, Clone, Copy)]
pub(super) enum Failed {
    Nowhere,
    Column(usize),
    DeletedField,
}

struct Reader<'r, P> {
    source: Source<'r>,
    patch: &'r mut P,
    failed: Failed,
    deleted: bool,
}

impl<'de, P: Patch> Visitor<'de> for &mut Reader<'_, P> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the row's fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(FieldSeed { source: self.source, patch: PhantomData::<P> })? {
            match field.target {
                Target::Nothing => {
                    map.next_value::<IgnoredAny>()?;
                }
                Target::Column(column) => map.next_value_seed(ColumnSeed { reader: &mut *self, column, field })?,
                Target::Several { columns, is_deleted_field } => {
                    let value = map.next_value::<&'de RawValue>()?.get();
                    if is_deleted_field {
                        self.deleted = read_deleted(value).map_err(|found| {
                            self.failed = Failed::DeletedField;
                            A::Error::custom(found)
                        })?;
                    }
                    let source = self.source;
                    for column in columns.iter().copied().filter(|column| source.wants(*column)) {
                        let seed = ColumnSeed { reader: &mut *self, column, field };
                        seed.deserialize(&mut serde_json::Deserializer::from_str(value))
                            .map_err(|error| A::Error::custom(without_position(&error)))?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Source<'_> {
    pub(super) fn wants(&self, column: usize) -> bool {
        self.only.is_none_or(|only| only.contains(column))
    }
}

/// A field's name.
struct FieldSeed<'r, P> {
    source: Source<'r>,
    patch: PhantomData<P>,
}

/// What a field is read into.
#[derive(Clone, Copy)]
struct Field<'r> {
    target: Target,
    schema: Option<&'r FieldSchema>,
}

#[derive(Clone, Copy)]
pub(super) enum Target {
    /// Not the model's, or excluded.
    Nothing,
    /// One column, by far the most.
    Column(usize),
    /// Columns that read the same field, the deletion's mark, or both.
    Several { columns: &'static [usize], is_deleted_field: bool },
}

impl<'de, 'r, P: Patch> DeserializeSeed<'de> for FieldSeed<'r, P> {
    type Value = Field<'r>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Field<'r>, D::Error> {
        name.deserialize_identifier(self)
    }
}

impl<'r, P: Patch> Visitor<'_> for FieldSeed<'r, P> {
    type Value = Field<'r>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Field<'r>, E> {
        let source = self.source;
        let target = source.target::<P>(name);
        Ok(Field { target, schema: source.schema.and_then(|schema| schema.field(name)) })
    }
}

/// A column's value.
struct ColumnSeed<'a, 'r, P> {
    reader: &'a mut Reader<'r, P>,
    column: usize,
    field: Field<'r>,
}

impl<'de, P: Patch> DeserializeSeed<'de> for ColumnSeed<'_, '_, P> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        self.reader.patch.read(self.column, value, self.field.schema).inspect_err(|_| {
            self.reader.failed = Failed::Column(self.column);
        })
    }
}

/// Whether the row is deleted: a boolean, or its text in any case (`ExtractNewRecordState` writes a text).
fn read_deleted(json: &str) -> Result<bool, String> {
    let text = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or(json);
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(format!("expected true or false, as a boolean or a text, found {}", clipped(json)))
    }
}
