//! Bytes that nobody wrote: no panic, no hang, and no more memory than the message could hold.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::framing::{join, split};
use super::super::write::long;
use super::{Datum, Schema, read, record, schema};

fn number(value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    long(value, &mut bytes);
    bytes
}

#[test]
fn a_length_that_the_message_cannot_hold_is_an_error_at_once() {
    for length in [i64::MAX, i64::MIN, -1, 1 << 40, 6] {
        let bytes = [number(length), b"short".to_vec()].concat();
        assert!(read::<String>(&json!("string"), &bytes).is_err(), "{length}");
        assert!(read::<Vec<u8>>(&json!("bytes"), &bytes).is_err(), "{length}");
    }
}

/// Elements without bytes would be free to ask for: an array of a billion nulls is five bytes.
#[test]
fn elements_without_bytes_are_counted() {
    let empty = json!({ "type": "record", "name": "Empty", "fields": [] });
    for items in [json!("null"), empty, json!({ "type": "fixed", "name": "F", "size": 0 })] {
        let array = json!({ "type": "array", "items": items });
        for count in [1_000_000_000_i64, i64::MAX, i64::MIN] {
            let mut bytes = number(count);
            bytes.extend([0, 0]);
            let error = read::<Vec<serde::de::IgnoredAny>>(&array, &bytes).unwrap_err();
            assert!(error.contains("more than the message can hold"), "{error}");
        }
        let bytes = [number(1000), vec![0]].concat();
        assert!(read::<Vec<serde::de::IgnoredAny>>(&array, &bytes).is_ok());
        // Many small blocks are counted together.
        let bytes = [number(1000).repeat(1000), vec![0]].concat();
        assert!(read::<Vec<serde::de::IgnoredAny>>(&array, &bytes).is_err());
    }
}

#[test]
fn depth_ends() {
    let list = json!({ "type": "record", "name": "L", "fields": [{ "name": "next", "type": ["null", "L"] }] });
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its reading counts")]
    struct L {
        next: Option<Box<L>>,
    }
    let bytes = vec![2; 100_000];
    let error = read::<L>(&list, &bytes).unwrap_err();
    assert!(error.contains("nested deeper than 64 levels"), "{error}");
    let error = read::<serde::de::IgnoredAny>(&list, &bytes).unwrap_err();
    assert!(error.contains("nested deeper than 64 levels"), "{error}");
    // A record that holds itself needs no bytes to go on for ever.
    let endless = json!({ "type": "record", "name": "L", "fields": [{ "name": "next", "type": "L" }] });
    assert!(read::<Value>(&endless, &[]).is_err());
    assert!(read::<serde::de::IgnoredAny>(&endless, &[]).is_err());
}

#[test]
fn framing_says_what_it_found() {
    let said: Vec<String> = [&b""[..], b"\0\0", b"\x01abcdefghijklmnop", b"{\"id\":1}", b"abc"]
        .into_iter()
        .map(|bytes| split(bytes).unwrap_err().to_string())
        .collect();
    expect_test::expect![[r#"
        expected Avro as a schema registry's clients write it (a zero byte and the schema's id in four), but it is empty
        expected Avro as a schema registry's clients write it (a zero byte and the schema's id in four), but it ends after 2 of 5 bytes
        its first byte says that the schema is named by a GUID, which is Confluent's newer framing and is not read here; let the producer write the schema's id before the bytes: in Confluent's clients `key.schema.id.serializer` and `value.schema.id.serializer` are `io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer`
        expected Avro as a schema registry's clients write it (a zero byte and the schema's id in four), but it looks like JSON, which `format = json` reads
        expected Avro as a schema registry's clients write it (a zero byte and the schema's id in four), but its first byte is 97"#]].assert_eq(&said.join("\n"));
    assert_eq!(split(&join(0x0102_0304, b"x")).unwrap(), (0x0102_0304, &b"x"[..]));
}

/// A schema with everything that lengths, counts and indexes can be wrong about.
pub(super) fn everything() -> Value {
    record(&json!([
        { "name": "a", "type": ["null", "long", "string", { "type": "array", "items": ["null", "R"] }] },
        { "name": "b", "type": { "type": "map", "values": { "type": "array", "items": "bytes" } } },
        { "name": "c", "type": { "type": "enum", "name": "E", "symbols": ["X", "Y"] } },
        { "name": "d", "type": { "type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 3 } },
        { "name": "e", "type": { "type": "long", "logicalType": "timestamp-micros" } },
        { "name": "f", "type": ["null", { "type": "fixed", "name": "U", "size": 16, "logicalType": "uuid" }] },
        { "name": "g", "type": ["double", "float", "boolean", "int"] },
        { "name": "h", "type": ["null", "R"], "default": null },
    ]))
}

/// It, and how it is read as itself.
static SCHEMAS: LazyLock<(Schema, Schema)> = LazyLock::new(|| {
    let schema = schema(&everything());
    let resolved = Schema::resolve(&schema, &schema).unwrap();
    (schema, resolved)
});

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only its reading counts")]
pub(super) struct Typed {
    a: Value,
    e: chrono::DateTime<chrono::Utc>,
    d: bigdecimal::BigDecimal,
    h: Option<Box<Typed>>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_end_in_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (schema, resolved) = &*SCHEMAS;
        let _ = split(&bytes);
        let _ = Datum::new(schema, &bytes).read::<Value>();
        let _ = Datum::new(schema, &bytes).read::<Typed>();
        let _ = Datum::new(schema, &bytes).read::<serde::de::IgnoredAny>();
        let _ = Datum::new(resolved, &bytes).read::<Value>();
        if let Some(mut fields) = Datum::new(resolved, &bytes).fields() {
            while let Ok(Some(_)) = fields.next() {
                if fields.datum().is_err() {
                    break;
                }
            }
        }
    }

    /// Small numbers make bytes that go on for longer.
    #[test]
    fn bytes_that_look_well_formed_end_too(bytes in prop::collection::vec(0_u8..8, 0..400)) {
        let (schema, _) = &*SCHEMAS;
        let value = Datum::new(schema, &bytes).read::<Value>();
        let skipped = Datum::new(schema, &bytes).read::<serde::de::IgnoredAny>();
        // What reads as a value can be skipped; bytes that JSON has no form for may be skipped all the same.
        prop_assert!(value.is_err() || skipped.is_ok());
    }

    #[test]
    fn any_text_ends_in_a_schema_or_an_error(text in "[\\[\\]{}\":,a-z ]{0,200}") {
        let _ = Schema::parse(&text, &[]);
    }
}
