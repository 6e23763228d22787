//! Avro: reading, writing, resolution, and bytes that nobody wrote. `apache-avro` is asked where two opinions count.

mod bounds;
mod hostile;
mod logical;
mod oracle;
mod resolution;
mod values;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Datum, Plain, Schema};

fn schema(json: &Value) -> Schema {
    Schema::parse(&json.to_string(), &[]).unwrap()
}

fn write<T: serde::Serialize>(json: &Value, value: &T) -> Result<Vec<u8>, String> {
    schema(json).write(&Plain::of(value).map_err(|error| error.to_string())?)
}

fn read<T: DeserializeOwned>(json: &Value, bytes: &[u8]) -> Result<T, String> {
    Datum::new(&schema(json), bytes).read().map_err(|error| error.to_string())
}

/// Written and read again.
fn there_and_back<T: serde::Serialize + DeserializeOwned>(json: &Value, value: &T) -> T {
    read(json, &write(json, value).unwrap()).unwrap()
}

/// A record's schema.
fn record(fields: &Value) -> Value {
    serde_json::json!({ "type": "record", "name": "R", "fields": fields })
}
