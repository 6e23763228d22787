//! A record field by field, for who reads some of them into columns and passes over the others.

use super::cursor::{AvroError, Cursor, deeper};
use super::de::{Datum, Decoder, end};
use super::schema::{Kind, NodeId, Record, Schema};
use crate::format::FieldSchema;

/// What a whole value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Null,
    Record,
    Array,
    Scalar,
}

impl<'m> Datum<'m> {
    /// The value without the unions around it.
    pub(crate) fn unwrapped(self) -> Result<Self, AvroError> {
        let mut datum = self;
        let mut depth = 0;
        while let Kind::Union(branches) = &datum.schema.node(datum.node).kind {
            depth = deeper(depth)?;
            let mut cursor = Cursor::new(datum.bytes);
            let node = branches[cursor.index(branches.len(), "branch")?];
            datum = Self { node, bytes: cursor.rest(), ..datum };
        }
        Ok(datum)
    }

    /// What it is; a map is a scalar, because it has no fields of its own.
    pub(crate) fn shape(self) -> Shape {
        match self.schema.node(self.node).kind {
            Kind::Null => Shape::Null,
            Kind::Record(_) => Shape::Record,
            Kind::Array(_) => Shape::Array,
            _ => Shape::Scalar,
        }
    }

    /// Its text; `None` where it is none.
    pub(crate) fn text(self) -> Option<&'m str> {
        let is_text = matches!(self.schema.node(self.node).kind, Kind::Text);
        is_text.then(|| Cursor::new(self.bytes).text().ok()).flatten()
    }

    /// What encodings are told of the value as a whole.
    pub(crate) fn field_schema(self) -> &'m FieldSchema {
        &self.schema.node(self.node).field
    }

    /// What it is, for errors: ``the record `shop.Order` ``.
    pub(crate) fn describe(self) -> String {
        self.schema.node(self.node).describe()
    }

    /// The names of a record's fields; none where it is no record.
    pub(crate) fn field_names(self) -> impl Iterator<Item = &'m str> {
        let record = match &self.schema.node(self.node).kind {
            Kind::Record(record) => Some(record),
            _ => None,
        };
        let written = record.into_iter().flat_map(|record| &record.fields).filter(|field| !field.skipped);
        let defaults = record.into_iter().flat_map(|record| &record.defaults);
        written.map(|field| &*field.name).chain(defaults.map(|field| &*field.name))
    }

    /// Its fields; `None` where it is no record.
    pub(crate) fn fields(self) -> Option<FieldCursor<'m>> {
        match &self.schema.node(self.node).kind {
            Kind::Record(record) => Some(FieldCursor {
                schema: self.schema,
                record,
                next: 0,
                written: Cursor::new(self.bytes),
                default: Cursor::new(&[]),
                current: Current::None,
            }),
            _ => None,
        }
    }

    /// A field's value as a value of its own; `None` where there is no such field.
    pub(crate) fn field(self, name: &str) -> Result<Option<Self>, AvroError> {
        let Some(mut fields) = self.fields() else { return Ok(None) };
        while let Some(field) = fields.next()? {
            if field.name == name {
                return fields.datum().map(Some);
            }
            fields.skip()?;
        }
        Ok(None)
    }
}

/// A field to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldOf<'m> {
    pub(crate) name: &'m str,
    /// What encodings are told of it.
    pub(crate) schema: &'m FieldSchema,
}

/// Walks over a record's fields: after each [`next`](Self::next), the value is read or skipped once.
#[derive(Debug, Clone)]
pub(crate) struct FieldCursor<'m> {
    schema: &'m Schema,
    record: &'m Record,
    next: usize,
    written: Cursor<'m>,
    /// Of the default that is being read.
    default: Cursor<'m>,
    current: Current,
}

#[derive(Debug, Clone, Copy)]
enum Current {
    None,
    Written(NodeId),
    Default(NodeId),
}

impl<'m> FieldCursor<'m> {
    /// The next field that the reader knows; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<FieldOf<'m>>, AvroError> {
        let (schema, record) = (self.schema, self.record);
        while let Some(field) = record.fields.get(self.next) {
            self.next += 1;
            if field.skipped {
                self.written.skip(schema, field.node, 1)?;
                continue;
            }
            self.current = Current::Written(field.node);
            return Ok(Some(FieldOf { name: &field.name, schema: &schema.node(field.node).field }));
        }
        let Some(field) = record.defaults.get(self.next - record.fields.len()) else {
            end(&self.written)?;
            return Ok(None);
        };
        self.next += 1;
        self.default = Cursor::new(&field.bytes);
        self.current = Current::Default(field.node);
        Ok(Some(FieldOf { name: &field.name, schema: &schema.node(field.node).field }))
    }

    /// Reads the field's value.
    pub(crate) fn value(&mut self) -> Decoder<'_, 'm> {
        let (node, cursor) = match self.current {
            Current::Written(node) => (node, &mut self.written),
            Current::Default(node) => (node, &mut self.default),
            // Nothing was asked for: the record's own type at no bytes.
            Current::None => (self.schema.root(), &mut self.default),
        };
        Decoder { schema: self.schema, node, cursor, depth: 1 }
    }

    /// Passes over the field's value.
    pub(crate) fn skip(&mut self) -> Result<(), AvroError> {
        match self.current {
            Current::Written(node) => self.written.skip(self.schema, node, 1),
            Current::Default(_) | Current::None => Ok(()),
        }
    }

    /// The field's value as a value of its own, without the unions around it; it is passed over.
    pub(crate) fn datum(&mut self) -> Result<Datum<'m>, AvroError> {
        let (node, before) = match self.current {
            Current::Written(node) => (node, self.written.rest()),
            Current::Default(node) => (node, self.default.rest()),
            Current::None => (self.schema.root(), self.default.rest()),
        };
        self.skip()?;
        let after = if matches!(self.current, Current::Written(_)) { self.written.rest().len() } else { 0 };
        let bytes = &before[..before.len() - after];
        Datum { schema: self.schema, node, bytes }.unwrapped()
    }
}
