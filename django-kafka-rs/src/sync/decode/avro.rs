//! Avro: a record's bytes straight into a patch, and Debezium's envelope there.

use serde::Deserialize as _;

use super::message::{Body, DebeziumEnvelope, ENVELOPE};
use super::plan::ReadPlan;
use super::row::{Failed, ReadError, Source, Target};
use crate::error::DecodeError;
use crate::format::avro::{AvroError, Datum, Shape};
use crate::sync::model::{Envelope, Patch};

impl Source<'_> {
    /// Reads a record's fields into the patch; returns whether `deleted_field` says that the row is deleted.
    pub(super) fn read_avro_row<P: Patch>(self, row: Datum<'_>, patch: &mut P) -> Result<bool, ReadError> {
        let (mut failed, mut deleted) = (Failed::Nowhere, false);
        match self.read_fields(row, patch, &mut failed, &mut deleted) {
            Ok(()) => Ok(deleted),
            Err(error) => Err(self.avro_error(&error, failed, patch)),
        }
    }

    /// Reads a whole value into one column.
    pub(super) fn read_avro_column<P: Patch>(
        self,
        value: Datum<'_>,
        column: usize,
        patch: &mut P,
    ) -> Result<(), ReadError> {
        let read = value.read_with(|decoder| patch.read(column, decoder, Some(value.field_schema())));
        read.map_err(|error| self.avro_error(&error, Failed::Column(column), patch))
    }

    fn read_fields<P: Patch>(
        self,
        row: Datum<'_>,
        patch: &mut P,
        failed: &mut Failed,
        deleted: &mut bool,
    ) -> Result<(), AvroError> {
        let Some(mut fields) = row.fields() else {
            return Err(AvroError::new(format_args!("expected a record, found {}", row.describe())));
        };
        while let Some(field) = fields.next()? {
            match self.target::<P>(field.name) {
                Target::Nothing => fields.skip()?,
                Target::Column(column) => {
                    let read = patch.read(column, fields.value(), Some(field.schema));
                    read.inspect_err(|_| *failed = Failed::Column(column))?;
                }
                Target::Several { columns, is_deleted_field } => {
                    if is_deleted_field {
                        let mark = Mark::deserialize(fields.clone().value());
                        *deleted = mark.inspect_err(|_| *failed = Failed::DeletedField)?.0;
                    }
                    for column in columns.iter().copied().filter(|column| self.wants(*column)) {
                        let read = patch.read(column, fields.clone().value(), Some(field.schema));
                        read.inspect_err(|_| *failed = Failed::Column(column))?;
                    }
                    fields.skip()?;
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn avro_error<P: Patch>(self, error: &AvroError, failed: Failed, patch: &mut P) -> ReadError {
        match (patch.take_error(), failed) {
            (Some(error), _) => ReadError::Transform(error),
            (None, Failed::Nowhere) => ReadError::Unreadable(self.located(failed, &error.to_string())),
            (None, _) => ReadError::Decode(self.located(failed, &error.to_string())),
        }
    }
}

/// The deletion's mark: a boolean, or its text in any case (`ExtractNewRecordState` writes a text).
struct Mark(bool);

impl<'de> serde::Deserialize<'de> for Mark {
    fn deserialize<D: serde::Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_any(MarkVisitor).map(Self)
    }
}

struct MarkVisitor;

impl serde::de::Visitor<'_> for MarkVisitor {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("true or false, as a boolean or a text")
    }
    fn visit_bool<E>(self, v: bool) -> Result<bool, E> {
        Ok(v)
    }
    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<bool, E> {
        if v.eq_ignore_ascii_case("true") {
            Ok(true)
        } else if v.eq_ignore_ascii_case("false") {
            Ok(false)
        } else {
            Err(E::invalid_value(serde::de::Unexpected::Str(v), &self))
        }
    }
    /// The field's default, where nothing was written.
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// Debezium's envelope; `None` where the value is a row. In [`Envelope::Auto`] the schema's names decide, as in JSON the
/// members' names do.
pub(super) fn envelope<'m>(plan: &ReadPlan, value: Datum<'m>) -> Result<Option<DebeziumEnvelope<'m>>, DecodeError> {
    let full = match plan.envelope {
        Envelope::Flat => return Ok(None),
        Envelope::Full => true,
        Envelope::Auto => {
            if !value.field_names().next().is_some_and(|name| ENVELOPE.contains(&name))
                || !value.field_names().all(|name| ENVELOPE.contains(&name))
            {
                return Ok(None);
            }
            false
        }
    };
    let found = open(value).map_err(|error| DecodeError::caused_by(format!("value: {error}"), error))?;
    match found {
        Some((envelope, has_source)) if has_source || full => Ok(Some(envelope)),
        None if full => Err(DecodeError::new(format!(
            "expected Debezium's envelope (`before`, `after`, `source`, `op`), as `envelope = full` says, found {}",
            Body::Avro(value).held()
        ))),
        _ => Ok(None),
    }
}

/// The envelope, and whether it has a `source`; `None` where it is none.
fn open(value: Datum<'_>) -> Result<Option<(DebeziumEnvelope<'_>, bool)>, AvroError> {
    let Some(mut fields) = value.fields() else { return Ok(None) };
    let (mut op, mut before, mut after, mut has_source) = (None, None, None, false);
    while let Some(field) = fields.next()? {
        match field.name {
            "op" => op = fields.datum()?.text(),
            "source" => has_source = fields.datum()?.shape() == Shape::Record,
            name @ ("before" | "after") => {
                let row = fields.datum()?;
                let place = if name == "before" { &mut before } else { &mut after };
                match row.shape() {
                    Shape::Null => {}
                    Shape::Record => *place = Some(Body::Avro(row)),
                    Shape::Array | Shape::Scalar => return Ok(None),
                }
            }
            _ => fields.skip()?,
        }
    }
    Ok(op.map(|op| (DebeziumEnvelope { op, before, after }, has_source)))
}

/// A record's field as text; `None` where there is no such field, or the value is no record.
pub(super) fn text_field(value: Datum<'_>, name: &str) -> Result<Option<String>, String> {
    // A key may be a union of a record and null.
    let field = value.unwrapped().and_then(|value| value.field(name)).map_err(|error| error.to_string())?;
    match field {
        None => Ok(None),
        Some(field) => match field.text() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(format!("expected the table's name as text, found {}", field.describe())),
        },
    }
}
