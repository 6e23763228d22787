//! A change event as a row and what happened to it, for handlers: whatever wraps it is taken off.
//!
//! Model syncs do the same without building values (`sync::decode`); this is for code that wants the row as JSON.

use serde_json::{Map, Value};

use crate::error::DecodeError;
#[cfg(feature = "avro")]
use crate::format::avro::{Datum, json, names_schema, split};
use crate::topic::{Decode, PartSchema, Wire};

/// What an event says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// The row as it is now.
    Row(Value),
    /// The row is gone; as it was, where that is known.
    Deletion(Option<Value>),
    /// Nothing about a row.
    Nothing,
}

impl Event {
    /// Reads a message's value; `None` is a tombstone.
    pub(crate) fn read(value: Option<&[u8]>, schema: &PartSchema) -> Result<Self, DecodeError> {
        let Some(bytes) = value else { return Ok(Self::Deletion(None)) };
        let value = json_of(bytes, schema, "an event");
        match value.map_err(|e| DecodeError::caused_by(format!("value: {e}"), e))? {
            Value::Null => Ok(Self::Deletion(None)),
            Value::Object(members) if is_envelope(&members) => Self::open(members),
            row if is_marked_deleted(&row) => Ok(Self::Deletion(Some(row))),
            row => Ok(Self::Row(row)),
        }
    }

    fn open(mut envelope: Map<String, Value>) -> Result<Self, DecodeError> {
        let mut take = |member: &str| envelope.remove(member).filter(|row| !row.is_null());
        let op = take("op");
        match op.as_ref().and_then(Value::as_str).unwrap_or_default() {
            "c" | "u" | "r" => take("after").map(Self::Row).ok_or_else(|| {
                DecodeError::new("value: Debezium's envelope says that a row was written, but has no `after`")
            }),
            "d" => Ok(Self::Deletion(take("before"))),
            "m" => Ok(Self::Nothing),
            "t" => Err(DecodeError::new(
                "value: Debezium's operation `t` says that the whole table was truncated, which is not told on; leave \
                 the operation out with `skipped.operations = t` in the connector",
            )),
            other => Err(DecodeError::new(format!(
                "value: unknown operation {} in Debezium's envelope; known are c, u, r, d, t and m",
                super::quoted(other)
            ))),
        }
    }

    /// Whether the row was written by somebody whose changes are not to be told on.
    pub(crate) fn is_skipped(&self) -> bool {
        matches!(self, Self::Row(row) if row.get("kafka_skip") == Some(&Value::Bool(true)))
    }
}

/// A key or value as JSON, whichever of the two formats it is in.
fn json_of(bytes: &[u8], schema: &PartSchema, what: &str) -> Result<Value, DecodeError> {
    if names_schema(bytes) {
        return json_of_avro(bytes, schema);
    }
    let value = serde_json::from_slice(bytes);
    value.map(without_schema).map_err(|e| DecodeError::caused_by(format!("expected {what} as JSON or Avro: {e}"), e))
}

#[cfg(feature = "avro")]
fn json_of_avro(bytes: &[u8], schema: &PartSchema) -> Result<Value, DecodeError> {
    let schema = schema.get()?;
    let (_, avro) = split(bytes)?;
    json(Datum::new(schema, avro)).map_err(|e| DecodeError::caused_by(e.to_string(), e))
}

/// As with Avro: JSON never begins so.
#[cfg(not(feature = "avro"))]
const fn names_schema(bytes: &[u8]) -> bool {
    matches!(bytes, [0 | 1, ..])
}

#[cfg(not(feature = "avro"))]
fn json_of_avro(_: &[u8], _: &PartSchema) -> Result<Value, DecodeError> {
    Err(DecodeError::new(
        "it begins as Avro from a schema registry, which needs the feature `avro` of `django-kafka-rs`",
    ))
}

/// Takes off the JSON converter's `{"schema": …, "payload": …}`.
fn without_schema(value: Value) -> Value {
    match value {
        Value::Object(mut members)
            if members.len() == 2 && members.contains_key("schema") && members.contains_key("payload") =>
        {
            members.remove("payload").unwrap_or_default()
        }
        other => other,
    }
}

fn is_envelope(members: &Map<String, Value>) -> bool {
    members.get("op").is_some_and(Value::is_string) && members.get("source").is_some_and(Value::is_object)
}

/// `__deleted`, true or the text.
fn is_marked_deleted(row: &Value) -> bool {
    match row.get("__deleted") {
        Some(Value::Bool(deleted)) => *deleted,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// Keys of change events: without schema and the mark of rerouted tables.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct EventKey;

#[diagnostic::do_not_recommend]
impl Decode<Value> for EventKey {
    const WIRE: Wire = Wire::Detected;

    fn decode(bytes: &[u8]) -> Result<Value, DecodeError> {
        <Self as Decode<Value>>::decode_with(bytes, &PartSchema::default())
    }

    fn decode_with(bytes: &[u8], schema: &PartSchema) -> Result<Value, DecodeError> {
        let mut key = json_of(bytes, schema, "a key")?;
        if let Value::Object(members) = &mut key {
            members.remove("__dbz__physicalTableIdentifier");
        }
        Ok(key)
    }
}

/// Values of change events: the row as it is now, or as it was before its deletion; null where that is not known.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct EventRow;

#[diagnostic::do_not_recommend]
impl Decode<Value> for EventRow {
    const WIRE: Wire = Wire::Detected;

    fn decode(bytes: &[u8]) -> Result<Value, DecodeError> {
        Self::decode_with(bytes, &PartSchema::default())
    }

    fn decode_with(bytes: &[u8], schema: &PartSchema) -> Result<Value, DecodeError> {
        Ok(match Event::read(Some(bytes), schema)? {
            Event::Row(row) => row,
            Event::Deletion(row) => row.unwrap_or_default(),
            Event::Nothing => Value::Null,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Event {
        Event::read(Some(value.to_string().as_bytes()), &PartSchema::default()).unwrap()
    }

    #[test]
    fn takes_off_what_wraps_a_row() {
        let row = json!({"id": 1, "kafka_skip": true});
        let source = json!({"db": "shop"});
        assert_eq!(read(&row), Event::Row(row.clone()));
        assert!(read(&row).is_skipped());
        assert_eq!(read(&json!({"schema": {"type": "struct"}, "payload": row})), Event::Row(row.clone()));
        let update = json!({"op": "u", "source": source, "before": null, "after": row});
        assert_eq!(read(&json!({"schema": null, "payload": update})), Event::Row(row.clone()));
        // A row of its own with a column of that name.
        let other = json!({"op": "u", "id": 1});
        assert_eq!(read(&other), Event::Row(other.clone()));
        assert!(!read(&other).is_skipped());
    }

    #[test]
    fn knows_deletions() {
        let row = json!({"id": 1, "kafka_skip": true});
        assert_eq!(Event::read(None, &PartSchema::default()).unwrap(), Event::Deletion(None));
        assert_eq!(read(&Value::Null), Event::Deletion(None));
        assert_eq!(read(&json!({"op": "d", "source": {}, "before": row})), Event::Deletion(Some(row)));
        for mark in [json!(true), json!("TRUE")] {
            assert!(matches!(read(&json!({"id": 1, "__deleted": mark})), Event::Deletion(Some(_))));
        }
        assert!(matches!(read(&json!({"id": 1, "__deleted": "false"})), Event::Row(_)));
        assert!(!read(&json!({"id": 1, "__deleted": true, "kafka_skip": true})).is_skipped());
    }

    #[test]
    fn says_what_it_cannot_tell_on() {
        assert_eq!(read(&json!({"op": "m", "source": {}})), Event::Nothing);
        for op in ["t", "x", "u"] {
            let value = json!({"op": op, "source": {}}).to_string();
            Event::read(Some(value.as_bytes()), &PartSchema::default()).expect_err(op);
        }
        Event::read(Some(b"{"), &PartSchema::default()).unwrap_err();
        assert_eq!(EventKey::decode(br#"{"id":1,"__dbz__physicalTableIdentifier":"a.b"}"#).unwrap(), json!({"id": 1}));
    }
}
