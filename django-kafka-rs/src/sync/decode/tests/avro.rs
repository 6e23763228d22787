//! Avro messages: what the real stack wrote, and what envelopes, keys and mistakes become.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use expect_test::{Expect, expect, expect_file};
use serde_json::{Value, json};

use super::captured::{A, B, MODEL_A, MODEL_B, PRECISE, SCHEMAS, Schemas, captured, check_by, show_rerouted};
use super::*;
use crate::error::DecodeError;
use crate::format::avro::{Plain, Schema, join};

/// Schemas by their ids.
#[derive(Default)]
struct Known(HashMap<u32, Arc<Schema>>);

impl Known {
    fn captured(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data").join(name);
        let texts: HashMap<u32, Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let parsed = texts.into_iter().map(|(id, json)| (id, Arc::new(Schema::parse(&json.to_string(), &[]).unwrap())));
        Self(parsed.collect())
    }

    fn with(mut self, id: u32, schema: &Value) -> Self {
        self.0.insert(id, Arc::new(Schema::parse(&schema.to_string(), &[]).unwrap()));
        self
    }

    /// A message's part, written by the schema with this id.
    fn write(&self, id: u32, value: &Value) -> Vec<u8> {
        join(id, &self.0[&id].write(&Plain::from(value)).unwrap())
    }
}

impl SchemaSource for Known {
    fn reading(&self, id: u32, declared: Option<&'static str>) -> Result<Arc<Schema>, ConsumeError> {
        let writer = self.0.get(&id).cloned().ok_or_else(|| DecodeError::new(format!("no schema {id}")))?;
        let Some(declared) = declared else { return Ok(writer) };
        let reader = Schema::parse(declared, &[]).map_err(DecodeError::new)?;
        Ok(Arc::new(Schema::resolve(&writer, &reader).map_err(DecodeError::new)?))
    }
}

const fn avro(targets: Targets) -> ModelTopic {
    let topic = topic(Dialect::Debezium, targets);
    ModelTopic { key_format: PartFormat::Avro(None), value_format: PartFormat::Avro(None), ..topic }
}

#[test]
fn smoke_avro() {
    let topic = avro(Targets::One(&SCHEMAS));
    let known = Known::captured("smoke_avro.schemas.json");
    check_by("smoke_avro.jsonl", &topic, &known, show::<Schemas>, &expect_file!["expected/smoke_avro.txt"]);
}

#[test]
fn smoke_reroute_avro() {
    const MAP: &[(&str, &ModelDescriptor)] = &[
        ("smoke_reroute_avro.public.smoke_reroute_avro_a", &MODEL_A),
        ("smoke_reroute_avro.public.smoke_reroute_avro_b", &MODEL_B),
    ];
    let topic = avro(Targets::Reroute(MAP));
    let known = Known::captured("smoke_reroute_avro.schemas.json");
    let expected = expect_file!["expected/smoke_reroute_avro.txt"];
    check_by("smoke_reroute_avro.jsonl", &topic, &known, show_rerouted, &expected);
}

/// The same rows, whether Connect's JSON converter wrote them with their schema, or its Avro converter.
#[test]
fn avro_and_json_with_schemas_say_the_same() {
    let json = topic(Dialect::Debezium, Targets::One(&SCHEMAS));
    let avro = avro(Targets::One(&SCHEMAS));
    let known = Known::captured("smoke_avro.schemas.json");
    let rows = |name: &str, topic: &ModelTopic| -> Vec<String> {
        let rows = captured(name).into_iter();
        rows.map(|m| show::<Schemas>(decode_by(topic, &known, m.key.as_deref(), m.value.as_deref()))).collect()
    };
    assert_eq!(rows("smoke_avro.jsonl", &avro), rows("smoke_json_schema.jsonl", &json));
}
