//! A writer's bytes read as a reader's types.

use expect_test::expect;
use serde_json::{Value, json};

use super::{Datum, Plain, Schema, record, schema};

fn resolved(writer: &Value, reader: &Value, value: &Value) -> Result<Value, String> {
    let (writer, reader) = (schema(writer), schema(reader));
    let bytes = writer.write(&Plain::from(value)).unwrap();
    let schema = Schema::resolve(&writer, &reader)?;
    Datum::new(&schema, &bytes).read().map_err(|error| error.to_string())
}

#[test]
fn fields_are_found_by_name_and_alias_and_default() {
    let writer = record(&json!([
        { "name": "old", "type": "string" },
        { "name": "gone", "type": { "type": "array", "items": { "type": "map", "values": ["null", "double"] } } },
        { "name": "id", "type": "int" },
    ]));
    let reader = record(&json!([
        { "name": "id", "type": "long" },
        { "name": "name", "aliases": ["older", "old"], "type": "string" },
        { "name": "added", "type": ["null", "string"], "default": null },
        { "name": "nested", "type": { "type": "record", "name": "N", "fields": [
            { "name": "n", "type": "int" }, { "name": "m", "type": "int", "default": 7 }] }, "default": { "n": 1 } },
    ]));
    let value = json!({ "old": "x", "gone": [{ "a": 1.5 }, {}], "id": 5 });
    let read = resolved(&writer, &reader, &value).unwrap();
    assert_eq!(read, json!({ "id": 5, "name": "x", "added": null, "nested": { "n": 1, "m": 7 } }));
}

#[test]
fn numbers_widen_and_texts_are_bytes() {
    let pairs = [
        ("int", "long", json!(5), json!(5)),
        ("int", "float", json!(5), json!(5.0)),
        ("int", "double", json!(5), json!(5.0)),
        ("long", "double", json!(1_i64 << 40), json!((1_i64 << 40) as f64)),
        ("float", "double", json!(1.5), json!(1.5)),
        ("bytes", "string", json!([97]), json!("a")),
    ];
    for (writer, reader, value, expected) in pairs {
        assert_eq!(resolved(&json!(writer), &json!(reader), &value).unwrap(), expected, "{writer} → {reader}");
    }
    let bytes: Vec<u8> = {
        let (writer, reader) = (schema(&json!("string")), schema(&json!("bytes")));
        let schema = Schema::resolve(&writer, &reader).unwrap();
        Datum::new(&schema, &[2, b'a']).read_with(|d| serde::Deserialize::deserialize(d)).unwrap()
    };
    assert_eq!(bytes, b"a");
}

#[test]
fn a_value_means_what_its_writer_says() {
    let of = |logical: &str| record(&json!([{ "name": "at", "type": { "type": "long", "logicalType": logical } }]));
    #[derive(serde::Deserialize)]
    struct Row {
        at: chrono::DateTime<chrono::Utc>,
    }
    let (writer, reader) = (schema(&of("timestamp-millis")), schema(&of("timestamp-micros")));
    let bytes = writer.write(&Plain::from(&json!({ "at": 1500 }))).unwrap();
    let resolved = Schema::resolve(&writer, &reader).unwrap();
    let row: Row = Datum::new(&resolved, &bytes).read().unwrap();
    assert_eq!(row.at.timestamp_millis(), 1500);
}

#[test]
fn unions_open_and_close() {
    assert_eq!(resolved(&json!("int"), &json!(["null", "long"]), &json!(5)).unwrap(), json!(5));
    assert_eq!(resolved(&json!(["null", "long"]), &json!("double"), &json!(5)).unwrap(), json!(5.0));
    assert_eq!(
        resolved(&json!(["null", "long"]), &json!("double"), &json!(null)).unwrap_err(),
        "it was written as null, and is to be read as a double"
    );
    assert_eq!(
        resolved(&json!(["null", "int"]), &json!(["string", "null", "long"]), &json!(null)).unwrap(),
        json!(null)
    );
}

#[test]
fn enums_fall_back_to_the_readers_default() {
    let of = |symbols: &Value, default: &Value| json!({ "type": "enum", "name": "E", "symbols": symbols, "default": default });
    let writer = of(&json!(["A", "B"]), &json!("A"));
    assert_eq!(resolved(&writer, &of(&json!(["A", "Z"]), &json!("Z")), &json!("B")).unwrap(), json!("Z"));
    let strict = json!({ "type": "enum", "name": "E", "symbols": ["A"] });
    assert_eq!(resolved(&writer, &strict, &json!("A")).unwrap(), json!("A"));
    assert_eq!(resolved(&writer, &strict, &json!("B")).unwrap_err(), "the reader's schema has no symbol `B`");
}

#[test]
fn types_that_name_themselves_resolve() {
    let list = |ty: &str| {
        json!({ "type": "record", "name": "List", "fields": [
            { "name": "head", "type": ty }, { "name": "tail", "type": ["null", "List"], "default": null }] })
    };
    let value = json!({ "head": 1, "tail": { "head": 2, "tail": null } });
    let read = resolved(&list("int"), &list("double"), &value).unwrap();
    assert_eq!(read, json!({ "head": 1.0, "tail": { "head": 2.0, "tail": null } }));
}

/// A branch that fails leaves no type behind that points into another table.
#[test]
fn a_branch_that_cannot_be_read_is_an_error_where_it_is_met() {
    let writer = json!({ "type": "record", "name": "A", "fields": [
        { "name": "next", "type": ["null", "A"] },
        { "name": "v", "type": ["null", { "type": "record", "name": "B", "fields": [
            { "name": "a", "type": ["null", "A"] }, { "name": "x", "type": "string" }] }, "int"] }] });
    let reader = json!({ "type": "record", "name": "A", "fields": [
        { "name": "next", "type": ["null", "A"] },
        { "name": "v", "type": ["null", { "type": "record", "name": "B", "fields": [
            { "name": "a", "type": ["null", "A"] }, { "name": "x", "type": "int" }] }, "int"] }] });
    let read = |value: &Value| resolved(&writer, &reader, value);
    assert_eq!(read(&json!({ "next": null, "v": 1 })).unwrap(), json!({ "next": null, "v": 1 }));
    let nested = json!({ "next": { "next": null, "v": { "a": null, "x": "text" } }, "v": null });
    expect!["field `next`: field `v`: it was written as the record `B`, and is to be read as null or the record `B` or an int"].assert_eq(&read(&nested).unwrap_err());
}

#[test]
fn what_does_not_resolve_says_why() {
    let said = [
        resolved(&json!("string"), &json!("int"), &json!("x")).unwrap_err(),
        resolved(&record(&json!([])), &record(&json!([{ "name": "a", "type": "int" }])), &json!({})).unwrap_err(),
        resolved(
            &record(&json!([{ "name": "a", "type": "string" }])),
            &record(&json!([{ "name": "a", "type": ["null", "int"] }])),
            &json!({ "a": "x" }),
        )
        .unwrap_err(),
    ];
    expect![[r#"
        it was written as a string, and is to be read as an int
        field `a` of the record `R`: the record `R` was written without it, and it has no default
        field `a` of the record `R`: it was written as a string, and is to be read as null or an int"#]]
    .assert_eq(&said.join("\n"));
}

#[test]
fn schemas_that_are_none_say_why() {
    let said: Vec<String> = [
        "",
        "{",
        "\"nothing\"",
        "[]",
        "{\"type\":\"record\"}",
        "{\"type\":\"record\",\"name\":\"R\"}",
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"Missing"}]}"#,
        r#"{"type":"enum","name":"E"}"#,
        r#"{"type":"fixed","name":"F","size":-1}"#,
        r#"{"type":"array"}"#,
        "7",
    ]
    .into_iter()
    .map(|text| Schema::parse(text, &[]).unwrap_err())
    .collect();
    expect![[r#"
        unknown type ``
        not JSON: EOF while parsing an object at line 1 column 1
        unknown type `nothing`
        a union without branches
        a record without `name`
        the record `R` has no `fields`
        in `R`: field `a`: unknown type `Missing`
        expected `symbols`, a list of texts
        a fixed without `size`
        an array without `items`
        expected a type (a text, an object or an array), found 7"#]]
    .assert_eq(&said.join("\n"));
}
