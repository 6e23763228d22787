//! The same schemas and values through `apache-avro`.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as ApacheValue;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Datum, Plain, Schema};

/// A schema, and a value that it takes: in JSON and in the library's form.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) schema: Value,
    pub(super) value: Value,
    apache: ApacheValue,
}

fn leaf() -> impl Strategy<Value = Case> {
    let case = |schema: &str, value: Value, apache| Case { schema: json!(schema), value, apache };
    prop_oneof![
        Just(case("null", Value::Null, ApacheValue::Null)),
        any::<bool>().prop_map(move |v| case("boolean", json!(v), ApacheValue::Boolean(v))),
        any::<i32>().prop_map(move |v| case("int", json!(v), ApacheValue::Int(v))),
        any::<i64>().prop_map(move |v| case("long", json!(v), ApacheValue::Long(v))),
        (-1e9..1e9_f64).prop_map(move |v| case("double", json!(v), ApacheValue::Double(v))),
        (-1_000_000..1_000_000_i32).prop_map(move |v| {
            let v = v as f32 / 4.0;
            case("float", json!(v), ApacheValue::Float(v))
        }),
        ".{0,20}".prop_map(move |v| case("string", json!(v), ApacheValue::String(v))),
    ]
}

/// Values of one schema need the same shape, so arrays repeat one.
pub(super) fn case() -> impl Strategy<Value = Case> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0..4_usize).prop_map(|(item, n)| Case {
                schema: json!({ "type": "array", "items": item.schema }),
                value: json!(vec![item.value; n]),
                apache: ApacheValue::Array(vec![item.apache; n]),
            }),
            inner.clone().prop_map(|item| Case {
                schema: json!({ "type": "map", "values": item.schema }),
                value: json!({ "key": item.value }),
                apache: ApacheValue::Map([("key".to_owned(), item.apache)].into()),
            }),
            inner.clone().prop_filter_map("a union holds no union, and one null", |item| {
                (!item.schema.is_array() && item.schema != "null").then(|| Case {
                    schema: json!(["null", item.schema]),
                    value: item.value,
                    apache: ApacheValue::Union(1, Box::new(item.apache)),
                })
            }),
            prop::collection::vec(inner, 1..4).prop_map(record),
        ]
    })
}

fn record(fields: Vec<Case>) -> Case {
    static NAMES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NAMES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let named = fields.into_iter().enumerate().map(|(i, case)| (format!("f{i}"), case));
    let named: Vec<(String, Case)> = named.collect();
    let fields: Vec<Value> = named.iter().map(|(name, f)| json!({ "name": name, "type": f.schema })).collect();
    Case {
        schema: json!({ "type": "record", "name": format!("R{number}"), "fields": fields }),
        value: named.iter().map(|(name, f)| (name.clone(), f.value.clone())).collect(),
        apache: ApacheValue::Record(named.into_iter().map(|(name, f)| (name, f.apache)).collect()),
    }
}

/// Named types that are repeated in one schema would be defined twice; such cases are left out.
fn parsed(case: &Case) -> Option<(Schema, apache_avro::Schema)> {
    let text = case.schema.to_string();
    let apache = apache_avro::Schema::parse_str(&text).ok()?;
    Some((Schema::parse(&text, &[]).unwrap(), apache))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn both_write_the_same_bytes_and_read_the_same_values(case in case()) {
        let Some((ours, apache)) = parsed(&case) else { return Ok(()) };
        let bytes = ours.write(&Plain::from(&case.value)).unwrap();
        let writer = GenericDatumWriter::builder(&apache).build().unwrap();
        let theirs = writer.write_value_to_vec(case.apache.clone()).unwrap();
        prop_assert_eq!(&bytes, &theirs);
        let reader = GenericDatumReader::builder(&apache).build().unwrap();
        prop_assert_eq!(reader.read_value(&mut &bytes[..]).unwrap(), case.apache);
        let read: Value = Datum::new(&ours, &bytes).read().unwrap();
        prop_assert_eq!(&read, &case.value);
        // Resolving a schema with itself changes nothing.
        let resolved = Schema::resolve(&ours, &ours).unwrap();
        prop_assert_eq!(Datum::new(&resolved, &bytes).read::<Value>().unwrap(), case.value);
        // Passing over it takes all of its bytes.
        prop_assert!(Datum::new(&ours, &bytes).read::<serde::de::IgnoredAny>().is_ok());
    }
}
