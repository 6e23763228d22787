//! serde's types through a schema and back.

use std::collections::BTreeMap;

use expect_test::expect;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{read, record, there_and_back, write};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Suit {
    Spades,
    Hearts,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Payment {
    Cash,
    Card { number: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    n: i32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    int: i32,
    long: i64,
    float: f32,
    double: f64,
    text: String,
    bytes: Vec<u8>,
    suit: Suit,
    items: Vec<Option<i64>>,
    map: BTreeMap<String, f64>,
    inner: Inner,
    maybe: Option<Inner>,
    either: either::IntOrText,
}

mod either {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(untagged)]
    pub(super) enum IntOrText {
        Int(i64),
        Text(String),
    }
}

fn everything() -> Value {
    record(&json!([
        { "name": "flag", "type": "boolean" },
        { "name": "int", "type": "int" },
        { "name": "long", "type": "long" },
        { "name": "float", "type": "float" },
        { "name": "double", "type": "double" },
        { "name": "text", "type": "string" },
        { "name": "bytes", "type": "bytes" },
        { "name": "suit", "type": { "type": "enum", "name": "Suit", "symbols": ["HEARTS", "SPADES"] } },
        { "name": "items", "type": { "type": "array", "items": ["null", "long"] } },
        { "name": "map", "type": { "type": "map", "values": "double" } },
        { "name": "inner", "type": { "type": "record", "name": "Inner", "fields": [{ "name": "n", "type": "int" }] } },
        { "name": "maybe", "type": ["null", "Inner"], "default": null },
        { "name": "either", "type": ["null", "long", "string"] },
    ]))
}

fn value() -> Everything {
    Everything {
        flag: true,
        int: i32::MIN,
        long: i64::MAX,
        float: 0.1,
        double: f64::MIN_POSITIVE,
        text: "grüße 😀".to_owned(),
        bytes: vec![0, 255],
        suit: Suit::Spades,
        items: vec![Some(1), None, Some(-1)],
        map: [("a".to_owned(), 1.5), ("b".to_owned(), f64::INFINITY)].into(),
        inner: Inner { n: -1 },
        maybe: Some(Inner { n: 64 }),
        either: either::IntOrText::Text("x".to_owned()),
    }
}

#[test]
fn a_struct_comes_back_as_it_was() {
    assert_eq!(there_and_back(&everything(), &value()), value());
}

#[test]
fn bytes_are_those_of_the_specification() {
    // The examples of Avro's own specification.
    assert_eq!(write(&json!("long"), &-64).unwrap(), [0x7f]);
    assert_eq!(write(&json!("long"), &64).unwrap(), [0x80, 0x01]);
    assert_eq!(write(&json!("string"), &"foo").unwrap(), [0x06, 0x66, 0x6f, 0x6f]);
    let array = json!({ "type": "array", "items": "long" });
    assert_eq!(write(&array, &[3, 27]).unwrap(), [0x04, 0x06, 0x36, 0x00]);
    let union = json!(["null", "string"]);
    assert_eq!(write(&union, &None::<String>).unwrap(), [0x00]);
    assert_eq!(write(&union, &"a").unwrap(), [0x02, 0x02, 0x61]);
    let record = record(&json!([{ "name": "a", "type": "long" }, { "name": "b", "type": "string" }]));
    assert_eq!(write(&record, &json!({ "b": "foo", "a": 27 })).unwrap(), [0x36, 0x06, 0x66, 0x6f, 0x6f]);
}

#[test]
fn blocks_with_their_size_in_bytes_are_read_and_skipped() {
    // Two blocks: -2 items in 2 bytes, then 1 item.
    let bytes = [3, 4, 2, 4, 2, 6, 0];
    let array = json!({ "type": "array", "items": "long" });
    assert_eq!(read::<Vec<i64>>(&array, &bytes).unwrap(), [1, 2, 3]);
    let schema = record(&json!([{ "name": "skipped", "type": array }, { "name": "id", "type": "long" }]));
    #[derive(Deserialize)]
    struct OnlyId {
        id: i64,
    }
    assert_eq!(read::<OnlyId>(&schema, &[&bytes[..], &[14]].concat()).unwrap().id, 7);
}

#[test]
fn branches_of_records_are_variants_by_their_names() {
    let schema = json!([
        "null",
        { "type": "record", "name": "Card", "fields": [{ "name": "number", "type": "string" }] },
        { "type": "enum", "name": "Kind", "symbols": ["Cash"] },
    ]);
    let card = Payment::Card { number: "1".to_owned() };
    assert_eq!(there_and_back(&schema, &card), card);
    assert_eq!(write(&schema, &Payment::Cash).unwrap(), [4, 0]);
}

#[test]
fn a_part_of_an_array_can_be_read() {
    let schema = record(&json!([
        { "name": "pair", "type": { "type": "array", "items": "int" } },
        { "name": "id", "type": "int" },
    ]));
    let bytes = write(&schema, &json!({ "pair": [1, 2, 3], "id": 9 })).unwrap();
    let read: BTreeMap<String, Value> = read(&schema, &bytes).unwrap();
    assert_eq!(read["id"], 9);
}

#[test]
fn a_map_keeps_the_order_of_its_entries() {
    let map = json!({ "type": "map", "values": "int" });
    let entries: BTreeMap<_, _> = [("b", 2), ("a", 1)].into();
    assert_eq!(write(&map, &entries).unwrap(), [4, 2, b'a', 2, 2, b'b', 4, 0]);
}

#[test]
fn a_default_stands_where_the_value_has_no_field() {
    let schema = record(&json!([
        { "name": "id", "type": "long" },
        { "name": "raw", "type": "bytes", "default": "\u{00ff}" },
        { "name": "list", "type": { "type": "array", "items": "int" }, "default": [1] },
        { "name": "none", "type": ["string", "null"] },
    ]));
    assert_eq!(write(&schema, &json!({ "id": 1 })).unwrap(), [2, 2, 255, 2, 2, 0, 2]);
}

#[test]
fn what_does_not_fit_says_where_and_why() {
    let mut said = Vec::new();
    let mut wrong = |field: Value, value: Value| {
        let schema = record(&json!([field]));
        said.push(write(&schema, &value).unwrap_err());
    };
    wrong(json!({ "name": "n", "type": "int" }), json!({ "n": 3_000_000_000_i64 }));
    wrong(json!({ "name": "n", "type": "int" }), json!({ "n": "x" }));
    wrong(json!({ "name": "n", "type": "string" }), json!({}));
    wrong(json!({ "name": "n", "type": "string" }), json!({ "n": "x", "m": 1 }));
    wrong(json!({ "name": "n", "type": ["null", "int"] }), json!({ "n": "x" }));
    wrong(json!({ "name": "n", "type": { "type": "array", "items": "int" } }), json!({ "n": [1, null] }));
    wrong(json!({ "name": "n", "type": { "type": "enum", "name": "E", "symbols": ["A"] } }), json!({ "n": "B" }));
    wrong(json!({ "name": "n", "type": { "type": "fixed", "name": "F", "size": 2 } }), json!({ "n": [1] }));
    expect![[r#"
        field `n`: 3000000000 is out of the range of an int (-2147483648 to 2147483647)
        field `n`: expected an int, found the text "x"
        field `n`: the value has no such field, and the schema gives no default
        the record `R` has no field `m`, which the value has; add it to the schema, or leave it out with `#[serde(skip_serializing)]`
        field `n`: expected null or an int, found the text "x"
        field `n`: item 1: expected an int, found null
        field `n`: the enum `E` has no symbol `B`; it has `A`
        field `n`: the fixed `F` has 2 bytes, found 1"#]].assert_eq(&said.join("\n"));
}

#[test]
fn what_cannot_be_read_says_where_and_why() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its reading counts")]
    struct Row {
        n: i32,
    }
    let schema = |ty: Value| record(&json!([{ "name": "n", "type": ty }]));
    let said = [
        read::<Row>(&schema(json!("string")), &[2, b'x']).unwrap_err(),
        read::<Row>(&schema(json!("long")), &[0xfe, 0xff, 0xff, 0xff, 0xff, 1]).unwrap_err(),
        read::<Row>(&schema(json!(["null", "int"])), &[0]).unwrap_err(),
        read::<Row>(&schema(json!("int")), &[2, 2]).unwrap_err(),
        read::<Row>(&schema(json!("int")), &[]).unwrap_err(),
        read::<Row>(&schema(json!(["null", "int"])), &[4]).unwrap_err(),
        read::<String>(&json!("string"), &[2, 0xff]).unwrap_err(),
        read::<bool>(&json!("boolean"), &[2]).unwrap_err(),
    ];
    expect![[r#"
        field `n`: invalid type: string "x", expected i32
        field `n`: invalid value: integer `34359738367`, expected i32
        field `n`: invalid type: unit value, expected i32
        the message goes on after the value (bytes left: 1): it was not written with the schema that it names
        field `n`: the message ends within a number
        field `n`: there is no branch 2: the schema has 2, from 0
        a string is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0
        a boolean is 0 or 1, found 2"#]]
    .assert_eq(&said.join("\n"));
}
