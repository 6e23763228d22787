//! JSON: the text of keys, and what wraps a row there.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::message::{Body, DebeziumEnvelope, ENVELOPE, Shape};
use super::plan::ReadPlan;
use super::schemas::RowSchema;
use crate::error::DecodeError;
use crate::format::debezium::quoted;
use crate::sync::model::{Envelope, ToJson};

/// A key's text. What is no JSON but text is that text: string serializers write `abc` without quotes.
pub(super) fn key_json(bytes: &[u8], to_json: ToJson) -> Result<Cow<'_, [u8]>, DecodeError> {
    let json = to_json(bytes).map_err(|e| DecodeError::caused_by(format!("key: {e}"), e))?;
    if serde_json::from_slice::<IgnoredAny>(&json).is_ok() {
        return Ok(json);
    }
    match std::str::from_utf8(&json) {
        Ok(text) => Ok(Cow::Owned(json_string(text))),
        Err(_) => Err(DecodeError::new(format!("the key is neither JSON nor text: {}", beginning(&json)))),
    }
}

/// A text as JSON.
pub(super) fn json_string(text: &str) -> Vec<u8> {
    serde_json::Value::from(text).to_string().into_bytes()
}

/// The first bytes for an error, and what they look like.
pub(super) fn beginning(bytes: &[u8]) -> String {
    match bytes.first() {
        None => "it is empty".to_owned(),
        Some(0) => "it begins with a zero byte, as Avro of a schema registry does".to_owned(),
        // Enough bytes for the characters that an error shows.
        Some(_) => format!("it begins with {}", quoted(&String::from_utf8_lossy(&bytes[..bytes.len().min(256)]))),
    }
}

/// The beginning of a JSON value for an error.
pub(super) fn clipped(json: &str) -> String {
    json.chars().take(60).collect()
}

/// Takes off `{"schema": …, "payload": …}`. JSON's null is no value.
pub(super) fn payload<'m>(plan: &ReadPlan, json: Option<&'m [u8]>) -> (Option<&'m [u8]>, Option<Arc<RowSchema>>) {
    let Some(json) = json else { return (None, None) };
    let (payload, schema) = match wrapped(json) {
        Some((schema, payload)) if schema.get() == "null" => {
            // Without a schema to look at, a model with these two columns is the better reading.
            let is_row = plan.reads("schema") || plan.reads("payload");
            (if is_row { json } else { payload.get().as_bytes() }, None)
        }
        Some((schema, payload)) => match plan.schemas.get(schema.get()) {
            Some(schema) => (payload.get().as_bytes(), Some(schema)),
            None => (json, None),
        },
        None => (json, None),
    };
    (Some(payload).filter(|json| json.trim_ascii() != b"null"), schema)
}

fn wrapped(json: &[u8]) -> Option<(&RawValue, &RawValue)> {
    if !matches!(first_key(json), Some(b"schema" | b"payload")) {
        return None;
    }
    match members(json, ["schema", "payload"], Others::Refused)? {
        [Some(schema), Some(payload)] => Some((schema, payload)),
        _ => None,
    }
}

/// The payload of a key whose schema does not matter.
pub(super) fn key_payload(json: &[u8]) -> &[u8] {
    match wrapped(json) {
        Some((schema, payload)) if matches!(schema.get().as_bytes().first(), Some(b'{' | b'n')) => {
            payload.get().as_bytes()
        }
        _ => json,
    }
}

/// Debezium's envelope; `None` where the value is a row.
///
/// A row may have columns of these names: in [`Envelope::Auto`] every member has to be the envelope's, `op` a text,
/// `source` an object, and `before` and `after` objects or null. Rows whose first field has another name cost nothing.
pub(super) fn envelope<'m>(plan: &ReadPlan, json: &'m [u8]) -> Result<Option<DebeziumEnvelope<'m>>, DecodeError> {
    let full = match plan.envelope {
        Envelope::Flat => return Ok(None),
        Envelope::Full => true,
        Envelope::Auto => {
            if !first_key(json).is_some_and(|key| ENVELOPE.iter().any(|name| name.as_bytes() == key)) {
                return Ok(None);
            }
            false
        }
    };
    let found = members(json, ENVELOPE, if full { Others::Ignored } else { Others::Refused });
    let found = found.and_then(|[op, source, before, after, ..]| {
        let op = op?.get().strip_prefix('"')?.strip_suffix('"')?;
        let is_source = source.is_some_and(|source| source.get().starts_with('{'));
        (is_source || full).then_some(())?;
        let row = |member| row_or_null(member).ok().map(|row| row.map(Body::Json));
        Some(DebeziumEnvelope { op, before: row(before)?, after: row(after)? })
    });
    match found {
        None if full => Err(DecodeError::new(format!(
            "expected Debezium's envelope (`before`, `after`, `source`, `op`), as `envelope = full` says, found another \
             value: {}",
            beginning(json)
        ))),
        found => Ok(found),
    }
}

/// `None` is null or absent; an error is neither null nor an object.
fn row_or_null(member: Option<&RawValue>) -> Result<Option<&[u8]>, NotARow> {
    match member.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(row) if row.starts_with('{') => Ok(Some(row.as_bytes())),
        Some(_) => Err(NotARow),
    }
}

struct NotARow;

/// The name of an object's first member, as it is written.
fn first_key(json: &[u8]) -> Option<&[u8]> {
    let json = json.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"")?;
    json.iter().position(|byte| *byte == b'"').map(|end| &json[..end])
}

#[derive(Clone, Copy, PartialEq)]
enum Others {
    Refused,
    Ignored,
}

/// The texts of an object's members by these names; `None` where it is no object, or has others that are refused.
fn members<'m, const N: usize>(
    json: &'m [u8],
    names: [&'static str; N],
    others: Others,
) -> Option<[Option<&'m RawValue>; N]> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let members = json.deserialize_map(Members { names, others }).ok()?;
    json.end().ok()?;
    Some(members)
}

struct Members<const N: usize> {
    names: [&'static str; N],
    others: Others,
}

impl<'de, const N: usize> Visitor<'de> for Members<N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(name) = map.next_key::<Name<'de>>()? {
            match self.names.iter().position(|known| *known == name.0) {
                Some(index) => found[index] = Some(map.next_value::<&'de RawValue>()?),
                None if self.others == Others::Refused => return Err(A::Error::custom("another member")),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

pub(super) fn shape(json: &[u8]) -> Shape {
    match json.trim_ascii_start().first() {
        Some(b'{') => Shape::Object,
        Some(b'[') => Shape::Array,
        _ => Shape::Scalar,
    }
}

/// What a key held, for an error: an object's fields, or the beginning of anything else.
pub(super) fn held(key: &[u8]) -> String {
    match serde_json::from_slice::<std::collections::BTreeMap<String, &RawValue>>(key) {
        Ok(fields) if fields.is_empty() => "no field".to_owned(),
        Ok(fields) => {
            let names: Vec<_> = fields.keys().map(|name| format!("`{name}`")).collect();
            format!("the fields {}", names.join(", "))
        }
        Err(_) => quoted(&String::from_utf8_lossy(key)),
    }
}
