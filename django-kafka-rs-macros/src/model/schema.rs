//! A schema file, and what it says of a row's fields.

use std::path::PathBuf;

use serde_json::Value;

/// A schema that was read and is one.
#[derive(Debug)]
pub(crate) struct SchemaFile {
    /// As written.
    pub(crate) literal: syn::LitStr,
    /// Where it was found.
    pub(crate) path: PathBuf,
    pub(crate) json: Value,
}

/// A field of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AvroField<'s> {
    pub(crate) name: &'s str,
    /// The type's word; `None` where it is a union of several, or a name.
    pub(crate) ty: Option<&'s str>,
    /// The bytes are a decimal's.
    pub(crate) is_decimal: bool,
}

impl SchemaFile {
    /// The fields of the row: of the record, or of `after` in Debezium's envelope. `None` where it is no record.
    pub(crate) fn row_fields(&self) -> Option<Vec<AvroField<'_>>> {
        let root = record(&self.json)?;
        let fields = fields(root)?;
        let is_envelope = ["before", "after", "op"].iter().all(|name| fields.iter().any(|field| field.name == *name));
        if !is_envelope {
            return Some(fields);
        }
        // The one of the two that comes first has the row's type, the other its name.
        let rows = root.get("fields")?.as_array()?;
        let rows = rows.iter().filter(|field| matches!(field["name"].as_str(), Some("before" | "after")));
        rows.filter_map(|field| record(&field["type"])).find_map(self::fields)
    }

    /// The type of the whole: `record`, `string`, …; `None` for a union of several.
    pub(crate) fn root_type(&self) -> Option<&str> {
        word(&self.json)
    }
}

/// The record that a type is, alone or beside null.
fn record(ty: &Value) -> Option<&Value> {
    match ty {
        Value::Object(object) if object.get("type").is_some_and(|word| word == "record") => Some(ty),
        Value::Array(branches) => branches.iter().find_map(record),
        _ => None,
    }
}

fn fields(record: &Value) -> Option<Vec<AvroField<'_>>> {
    let fields = record.get("fields")?.as_array()?.iter();
    let fields = fields.filter_map(|json| {
        let (name, ty) = (json.get("name")?.as_str()?, json.get("type")?);
        Some(AvroField { name, ty: word(ty), is_decimal: is_decimal(ty) || is_decimal(json) })
    });
    Some(fields.collect())
}

/// The word of a type, alone or beside null.
fn word(ty: &Value) -> Option<&str> {
    const WORDS: [&str; 12] =
        ["boolean", "int", "long", "float", "double", "bytes", "string", "record", "enum", "array", "map", "fixed"];
    match ty {
        Value::String(word) => WORDS.iter().find(|known| *known == word).copied(),
        Value::Object(object) => word(object.get("type")?),
        Value::Array(branches) => {
            let mut values = branches.iter().filter(|branch| *branch != "null");
            match (values.next(), values.next()) {
                (Some(only), None) => word(only),
                _ => None,
            }
        }
        _ => None,
    }
}

fn is_decimal(ty: &Value) -> bool {
    match ty {
        Value::Object(object) => {
            object.get("logicalType").is_some_and(|word| word == "decimal")
                || object.get("connect.name").is_some_and(|name| name.as_str().is_some_and(|n| n.ends_with("Decimal")))
                || object.get("type").is_some_and(is_decimal)
        }
        Value::Array(branches) => branches.iter().any(is_decimal),
        _ => false,
    }
}
