//! Texts, numbers, bytes, JSON, arrays.

#![expect(clippy::needless_raw_string_hashes, reason = "as expect-test writes them")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::NaiveDateTime;
use expect_test::expect;
use serde_json::Value;
use uuid::Uuid;

use super::super::placeholder::PLACEHOLDER;
use super::*;

#[test]
fn texts_and_numbers() {
    check(
        default::<String>,
        &["\"Zoë \\uD83D\\uDE00\"", "\"\"", "5", "null", "[\"a\"]", P],
        expect![[r#"
        "Zoë \uD83D\uDE00" → "Zoë 😀"
        "" → ""
        5 → error: expected a text, found the integer 5
        null → error: expected a text, found null, but the field has no NULL; make it an `Option<…>`
        ["a"] → error: expected a text, found an array
        "__debezium_unavailable_value" → (unavailable)
    "#]],
    );
    check(
        default::<i32>,
        &["-7", "2147483647", "2147483648", "1.0", "\"x\"", "null", "{}"],
        expect![[r#"
        -7 → -7
        2147483647 → 2147483647
        2147483648 → error: expected an integer (i32, -2147483648 to 2147483647), found the integer 2147483648
        1.0 → error: expected an integer (i32, -2147483648 to 2147483647), found the number 1.0
        "x" → error: expected an integer (i32, -2147483648 to 2147483647), found the text "x"
        null → error: expected an integer (i32, -2147483648 to 2147483647), found null, but the field has no NULL; make it an `Option<…>`
        {} → error: expected an integer (i32, -2147483648 to 2147483647), found an object
    "#]],
    );
    check(
        default::<u64>,
        &["18446744073709551615", "-1"],
        expect![[r#"
        18446744073709551615 → 18446744073709551615
        -1 → error: expected an integer (u64, 0 to 18446744073709551615), found the integer -1
    "#]],
    );
    check(
        default::<f64>,
        &["0.1", "7", "\"NaN\"", "\"-Infinity\"", "\"x\"", "null"],
        expect![[r#"
        0.1 → 0.1
        7 → 7.0
        "NaN" → NaN
        "-Infinity" → -inf
        "x" → error: expected a number (f64), found the text "x"
        null → error: expected a number (f64), found null, but the field has no NULL; make it an `Option<…>`
    "#]],
    );
    check(
        default::<bool>,
        &["true", "\"true\"", "1"],
        expect![[r#"
        true → true
        "true" → error: expected a boolean (bool), found the text "true"
        1 → error: expected a boolean (bool), found the integer 1
    "#]],
    );
    check(
        default::<Uuid>,
        &["\"123e4567-e89b-12d3-a456-426614174000\"", "\"x\"", P],
        expect![[r#"
        "123e4567-e89b-12d3-a456-426614174000" → 123e4567-e89b-12d3-a456-426614174000
        "x" → error: expected a UUID as text, found the text "x"
        "__debezium_unavailable_value" → (unavailable)
    "#]],
    );
    check(
        default::<Vec<u8>>,
        &["\"3q2+7wA=\"", "\"\"", "\"not base64!\"", "5", P, "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\""],
        expect![[r#"
        "3q2+7wA=" → [222, 173, 190, 239, 0]
        "" → []
        "not base64!" → error: expected bytes as base64 text, found the text "not base64!"
        5 → error: expected bytes as base64 text, found the integer 5
        "__debezium_unavailable_value" → (unavailable)
        "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==" → (unavailable)
    "#]],
    );
    check(
        read::<IpAddr, dbz::Text>,
        &["\"127.0.0.1\"", "\"x\""],
        expect![[r#"
        "127.0.0.1" → 127.0.0.1
        "x" → error: the text "x" cannot be read: invalid IP address syntax
    "#]],
    );
    check(
        default::<Option<String>>,
        &["null", "\"a\"", P],
        expect![[r#"
        null → None
        "a" → Some("a")
        "__debezium_unavailable_value" → (unavailable)
    "#]],
    );
    let long = format!("\"{}\"", "ü".repeat(100));
    check(
        default::<i64>,
        &[&long],
        expect![[r#"
        "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü" → error: expected an integer (i64, -9223372036854775808 to 9223372036854775807), found the text "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü"…
    "#]],
    );
}

#[test]
fn json_and_maps() {
    let hstore = format!("{{{P}:{P}}}");
    let hstore_text = Value::from(hstore.clone()).to_string();
    check(
        default::<Value>,
        &["\"{\\\"a\\\": [1, null]}\"", "\"null\"", "{\"a\":1}", "[1]", "1", "\"x\"", "null", P, &hstore, &hstore_text],
        expect![[r#"
            "{\"a\": [1, null]}" → Object {"a": Array [Number(1), Null]}
            "null" → Null
            {"a":1} → Object {"a": Number(1)}
            [1] → Array [Number(1)]
            1 → Number(1)
            "x" → error: expected JSON as text, found the text "x": expected value
            null → error: expected JSON as text, found null, but the field has no NULL; make it an `Option<…>`
            "__debezium_unavailable_value" → (unavailable)
            {"__debezium_unavailable_value":"__debezium_unavailable_value"} → (unavailable)
            "{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}" → (unavailable)
        "#]],
    );
    check(
        default::<BTreeMap<String, Option<String>>>,
        &["\"{\\\"a\\\": null, \\\"b\\\":\\\"1\\\"}\"", "{\"a\":null,\"b\":\"1\"}", &hstore, &hstore_text, "5"],
        expect![[r#"
            "{\"a\": null, \"b\":\"1\"}" → {"a": None, "b": Some("1")}
            {"a":null,"b":"1"} → {"a": None, "b": Some("1")}
            {"__debezium_unavailable_value":"__debezium_unavailable_value"} → (unavailable)
            "{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}" → (unavailable)
            5 → error: invalid type: integer `5`, expected a map
        "#]],
    );
    check(
        read::<Vec<i32>, dbz::Json>,
        &["\"[1,2]\"", "[1,2]", "\"[1\""],
        expect![[r#"
        "[1,2]" → [1, 2]
        [1,2] → [1, 2]
        "[1" → error: expected JSON as text, found the text "[1": EOF while parsing a list
    "#]],
    );
}

#[test]
fn arrays() {
    let one = format!("[{P}]");
    let two = format!("[{P},\"a\"]");
    let spelled = format!("{:?}", PLACEHOLDER.bytes().collect::<Vec<_>>());
    check(
        default::<Vec<Option<String>>>,
        &["[\"one\",null,\"two, three\"]", "[]", &one, &two, P, "5", "null", "{}"],
        expect![[r#"
        ["one",null,"two, three"] → [Some("one"), None, Some("two, three")]
        [] → []
        ["__debezium_unavailable_value"] → (unavailable)
        ["__debezium_unavailable_value","a"] → error: the array has `__debezium_unavailable_value` beside other elements, so it is neither a value nor Debezium's placeholder
        "__debezium_unavailable_value" → (unavailable)
        5 → error: invalid type: integer `5`, expected an array
        null → error: expected an array, found null, but the field has no NULL; make it an `Option<…>`
        {} → error: invalid type: map, expected an array
    "#]],
    );
    check(
        default::<Vec<String>>,
        &["[\"a\",null]", &one],
        expect![[r#"
        ["a",null] → error: expected a text, found null, but the field has no NULL; make it an `Option<…>`
        ["__debezium_unavailable_value"] → (unavailable)
    "#]],
    );
    check(
        default::<Vec<i32>>,
        &["[1,2]", &spelled],
        expect![[r#"
        [1,2] → [1, 2]
        [95, 95, 100, 101, 98, 101, 122, 105, 117, 109, 95, 117, 110, 97, 118, 97, 105, 108, 97, 98, 108, 101, 95, 118, 97, 108, 117, 101] → (unavailable)
    "#]],
    );
    check(
        default::<Vec<Option<i64>>>,
        &["[1,null]", &spelled],
        expect![[r#"
        [1,null] → [Some(1), None]
        [95, 95, 100, 101, 98, 101, 122, 105, 117, 109, 95, 117, 110, 97, 118, 97, 105, 108, 97, 98, 108, 101, 95, 118, 97, 108, 117, 101] → (unavailable)
    "#]],
    );
    check(
        default::<Option<Vec<Option<i64>>>>,
        &["null", &spelled],
        expect![[r#"
        null → None
        [95, 95, 100, 101, 98, 101, 122, 105, 117, 109, 95, 117, 110, 97, 118, 97, 105, 108, 97, 98, 108, 101, 95, 118, 97, 108, 117, 101] → (unavailable)
    "#]],
    );
    check(
        default::<Vec<Uuid>>,
        &["[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]", "[]"],
        expect![[r#"
        ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"] → (unavailable)
        [] → []
    "#]],
    );
    check(
        default::<Vec<Vec<u8>>>,
        &["[\"3q2+7wA=\"]", "[\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"]"],
        expect![[r#"
        ["3q2+7wA="] → [[222, 173, 190, 239, 0]]
        ["X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="] → (unavailable)
    "#]],
    );
    check(
        read::<Vec<NaiveDateTime>, Seq<dbz::Timestamp>>,
        &["[0,1]"],
        expect![[r#"
        [0,1] → [1970-01-01T00:00:00, 1970-01-01T00:00:00.001]
    "#]],
    );
}
