//! Which model a message is for.

use super::json::{clipped, key_payload};
use super::message::Body;
use crate::error::{ConsumeError, DecodeError};
use crate::format::debezium::quoted;
use crate::sync::model::{Dialect, ModelDescriptor, ModelTopic, Targets};

/// The key's field in which Debezium's `ByLogicalTableRouter` names the table.
const IDENTIFIER: &str = "__dbz__physicalTableIdentifier";

/// The table that the key names; `None`: it names none.
///
/// # Errors
/// The field is there, and is no text.
pub(crate) fn reroute_identifier(key: Option<Body<'_>>) -> Result<Option<String>, DecodeError> {
    match key {
        None => Ok(None),
        Some(Body::Json(key)) => in_json(key),
        #[cfg(feature = "avro")]
        Some(Body::Avro(key)) => super::avro::text_field(key, IDENTIFIER)
            .map_err(|why| DecodeError::new(format!("key field `{IDENTIFIER}`: {why}"))),
    }
}

fn in_json(key: &[u8]) -> Result<Option<String>, DecodeError> {
    if !mentions_identifier(key) {
        return Ok(None);
    }
    // A key that is no object names nothing.
    let Ok(key) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(key_payload(key)) else {
        return Ok(None);
    };
    match key.get(IDENTIFIER) {
        None => Ok(None),
        Some(serde_json::Value::String(table)) => Ok(Some(table.clone())),
        Some(found) => Err(DecodeError::new(format!(
            "key field `{IDENTIFIER}`: expected the table's name as text, found {}",
            clipped(&found.to_string())
        ))),
    }
}

/// Whether the bytes are worth parsing: keys are short, and most have no such field.
fn mentions_identifier(key: &[u8]) -> bool {
    key.windows(IDENTIFIER.len()).any(|window| window == IDENTIFIER.as_bytes())
}

/// The model that a message is for, with its place among the topic's models.
///
/// # Errors
/// The topic maps tables to models, and the key names none or one that is not mapped; or the key names a table, and the
/// topic maps none.
pub(crate) fn select(
    topic: &ModelTopic,
    key: Option<Body<'_>>,
) -> Result<(usize, &'static ModelDescriptor), ConsumeError> {
    let map = match topic.targets {
        Targets::One(model) => {
            return match topic.dialect {
                Dialect::Debezium => unmapped(key).map(|()| (0, model)),
                Dialect::Plain => Ok((0, model)),
            };
        }
        Targets::Reroute(map) => map,
    };
    let Some(table) = reroute_identifier(key)? else {
        return Err(DecodeError::new(format!(
            "the key has no field `{IDENTIFIER}`, so nothing tells which of the topic's models the message is for; let \
             the connector add it (`key.enforce.uniqueness = true` of `ByLogicalTableRouter`); `#[reroute(…)]` maps {}",
            tables(map)
        ))
        .into());
    };
    if let Some((index, (_, model))) = map.iter().enumerate().find(|(_, (mapped, _))| *mapped == table) {
        return Ok((index, model));
    }
    let prefixed = map.iter().find(|(mapped, _)| table.strip_suffix(mapped).is_some_and(|rest| rest.ends_with('.')));
    let remedy = match prefixed {
        Some((mapped, _)) => format!(
            "; it is `{mapped}` behind the connector's topic prefix: map the whole name, or cut the prefix with \
             `key.field.regex` and `key.field.replacement` in the connector"
        ),
        None => String::new(),
    };
    Err(DecodeError::new(format!(
        "the key names the table {}, which `#[reroute(…)]` does not map; it maps {}{remedy}",
        quoted(&table),
        tables(map)
    ))
    .into())
}

fn unmapped(key: Option<Body<'_>>) -> Result<(), ConsumeError> {
    match reroute_identifier(key)? {
        None => Ok(()),
        Some(table) => Err(DecodeError::new(format!(
            "the key names the table {} in `{IDENTIFIER}`, but the topic maps no tables; declare \
             `#[reroute({table:?} => Model)]` on a unit topic",
            quoted(&table)
        ))
        .into()),
    }
}

fn tables(map: &[(&str, &ModelDescriptor)]) -> String {
    map.iter().map(|(table, _)| format!("`{table}`")).collect::<Vec<_>>().join(", ")
}
