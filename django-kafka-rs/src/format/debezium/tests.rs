//! Each encoding against the texts that Debezium and Connect's JSON converter write, at the ends of its range.

#![expect(clippy::needless_raw_string_hashes, reason = "as expect-test writes them")]

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::net::IpAddr;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::placeholder::PLACEHOLDER;
use super::*;

/// Reads JSON text, to its end.
fn read_with<T, E: Encoding<T>>(json: &str, schema: Option<&FieldSchema>) -> Result<Presence<T>, String> {
    let mut json = serde_json::Deserializer::from_str(json);
    let value = E::read(&mut json, schema).map_err(|error| {
        let position = format!(" at line {} column {}", error.line(), error.column());
        error.to_string().replace(&position, "")
    })?;
    json.end().expect("a value that was read is read to its end");
    Ok(value)
}

fn read<T, E: Encoding<T>>(json: &str) -> Result<Presence<T>, String> {
    read_with::<T, E>(json, None)
}

/// The type's default, as the macros find it.
fn default<T: DefaultEncoding<Encoding: Encoding<T>>>(json: &str) -> Result<Presence<T>, String> {
    read::<T, T::Encoding>(json)
}

fn show<T: Debug>(result: Result<Presence<T>, String>) -> String {
    match result {
        Ok(Presence::Present(value)) => format!("{value:?}"),
        Ok(Presence::Unavailable) => "(unavailable)".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `expect!` makes it")]
fn check<T: Debug>(read: fn(&str) -> Result<Presence<T>, String>, inputs: &[&str], expected: Expect) {
    let mut shown = String::new();
    for input in inputs {
        writeln!(shown, "{input} → {}", show(read(input))).unwrap();
    }
    expected.assert_eq(&shown);
}

fn named(name: &str) -> FieldSchema {
    FieldSchema { name: Some(name.to_owned()), ..FieldSchema::default() }
}

const P: &str = "\"__debezium_unavailable_value\"";

#[test]
fn dates() {
    check(
        default::<NaiveDate>,
        &[
            "10956",
            "-719162",
            "0",
            "-96465292",
            "95026236",
            "2147483647",
            "3000000000",
            "\"2024-01-01\"",
            "1.5",
            "null",
            "{\"a\":1}",
            P,
        ],
        expect![[r#"
            10956 → 1999-12-31
            -719162 → 0001-01-01
            0 → 1970-01-01
            -96465292 → -262143-01-01
            95026236 → +262142-12-31
            2147483647 → error: 2147483647 days since 1970 are out of the range of dates (years -262143 to 262142)
            3000000000 → error: 3000000000 days since 1970 are out of the range of dates (years -262143 to 262142)
            "2024-01-01" → error: expected days since 1970 (an integer), found the text "2024-01-01"; for text write `as = dbz::IsoDate`
            1.5 → error: expected days since 1970 (an integer), found the number 1.5
            null → error: expected days since 1970 (an integer), found null, but the field has no NULL; make it an `Option<…>`
            {"a":1} → error: expected days since 1970 (an integer), found an object
            "__debezium_unavailable_value" → (unavailable)
        "#]],
    );
    check(
        read::<NaiveDate, dbz::IsoDate>,
        &["\"2024-02-29Z\"", "\"2024-02-29\"", "\"2023-02-29\"", "5"],
        expect![[r#"
        "2024-02-29Z" → 2024-02-29
        "2024-02-29" → 2024-02-29
        "2023-02-29" → error: expected a date as text (2024-02-29), found the text "2023-02-29"
        5 → error: expected a date as text (2024-02-29), found the integer 5
    "#]],
    );
}

#[test]
fn timestamps() {
    check(
        default::<NaiveDateTime>,
        &[
            "1709210096789012",
            "-1",
            "0",
            "9223372036825200000",
            "-9223372036832400000",
            "18446744073709551615",
            "\"2024-01-01T00:00:00Z\"",
            "true",
        ],
        expect![[r#"
            1709210096789012 → 2024-02-29T12:34:56.789012
            -1 → 1969-12-31T23:59:59.999999
            0 → 1970-01-01T00:00:00
            9223372036825200000 → error: 9223372036825200000 microseconds since 1970 are out of the range of timestamps (years -262143 to 262142); PostgreSQL's infinity arrives as such a number
            -9223372036832400000 → error: -9223372036832400000 microseconds since 1970 are out of the range of timestamps (years -262143 to 262142); PostgreSQL's infinity arrives as such a number
            18446744073709551615 → error: expected microseconds since 1970 (an integer), found the integer 18446744073709551615
            "2024-01-01T00:00:00Z" → error: expected microseconds since 1970 (an integer), found the text "2024-01-01T00:00:00Z"; for text write `as = dbz::IsoTimestamp` or `as = dbz::ZonedTimestamp`
            true → error: expected microseconds since 1970 (an integer), found true
        "#]],
    );
    check(
        read::<NaiveDateTime, dbz::Timestamp>,
        &["1709210096789", "-1", "-9223372036854775808"],
        expect![[r#"
        1709210096789 → 2024-02-29T12:34:56.789
        -1 → 1969-12-31T23:59:59.999
        -9223372036854775808 → error: -9223372036854775808 milliseconds since 1970 are out of the range of timestamps (years -262143 to 262142); PostgreSQL's infinity arrives as such a number
    "#]],
    );
    check(
        read::<NaiveDateTime, dbz::NanoTimestamp>,
        &["1709210096789012345", "9223372036854775807", "-9223372036854775808"],
        expect![[r#"
            1709210096789012345 → 2024-02-29T12:34:56.789012345
            9223372036854775807 → 2262-04-11T23:47:16.854775807
            -9223372036854775808 → 1677-09-21T00:12:43.145224192
        "#]],
    );
    check(
        read::<DateTime<Utc>, dbz::MicroTimestamp>,
        &["1709210096789012"],
        expect![[r#"
        1709210096789012 → 2024-02-29T12:34:56.789012Z
    "#]],
    );
    check(
        default::<DateTime<Utc>>,
        &[
            "\"2024-02-29T10:34:56.789012Z\"",
            "\"1969-12-31T23:59:59.999999Z\"",
            "\"2024-02-29T12:34:56+02:00\"",
            "\"-0001-01-01T00:00:00Z\"",
            "\"+12024-01-01T00:00:00Z\"",
            "\"infinity\"",
            "1709210096789",
            P,
        ],
        expect![[r#"
            "2024-02-29T10:34:56.789012Z" → 2024-02-29T10:34:56.789012Z
            "1969-12-31T23:59:59.999999Z" → 1969-12-31T23:59:59.999999Z
            "2024-02-29T12:34:56+02:00" → 2024-02-29T10:34:56Z
            "-0001-01-01T00:00:00Z" → -0001-01-01T00:00:00Z
            "+12024-01-01T00:00:00Z" → +12024-01-01T00:00:00Z
            "infinity" → error: expected a timestamp as text with its offset (2024-02-29T10:34:56.789Z), found the text "infinity"
            1709210096789 → error: expected a timestamp as text with its offset (2024-02-29T10:34:56.789Z), found the integer 1709210096789
            "__debezium_unavailable_value" → (unavailable)
        "#]],
    );
    check(
        read::<NaiveDateTime, dbz::IsoTimestamp>,
        &["\"2024-02-29T10:34:56.789012Z\"", "\"2024-02-29T10:34:56\"", "\"yesterday\""],
        expect![[r#"
            "2024-02-29T10:34:56.789012Z" → 2024-02-29T10:34:56.789012
            "2024-02-29T10:34:56" → 2024-02-29T10:34:56
            "yesterday" → error: expected a timestamp as text (2024-02-29T10:34:56.789), found the text "yesterday"
        "#]],
    );
    check(
        read::<NaiveDateTime, dbz::ZonedTimestamp>,
        &["\"2024-02-29T12:34:56+02:00\""],
        expect![[r#"
        "2024-02-29T12:34:56+02:00" → 2024-02-29T10:34:56
    "#]],
    );
}

#[test]
fn times() {
    check(
        default::<NaiveTime>,
        &["0", "86399999999", "86400000000", "86400000001", "-1", "\"10:00:00\"", "null"],
        expect![[r#"
            0 → 00:00:00
            86399999999 → 23:59:59.999999
            86400000000 → error: 86400000000 microseconds since midnight (24:00:00) are out of the range of a time of day (00:00:00 to 23:59:59.999999999); read the column as an `i64`, or through a function with `with = path`
            86400000001 → error: 86400000001 microseconds since midnight are out of the range of a time of day (00:00:00 to 23:59:59.999999999); read the column as an `i64`, or through a function with `with = path`
            -1 → error: -1 microseconds since midnight are out of the range of a time of day (00:00:00 to 23:59:59.999999999); read the column as an `i64`, or through a function with `with = path`
            "10:00:00" → error: expected microseconds since midnight (an integer), found the text "10:00:00"; for text write `as = dbz::IsoTime`
            null → error: expected microseconds since midnight (an integer), found null, but the field has no NULL; make it an `Option<…>`
        "#]],
    );
    check(
        read::<NaiveTime, dbz::Time>,
        &["86399999", "86400000"],
        expect![[r#"
        86399999 → 23:59:59.999
        86400000 → error: 86400000 milliseconds since midnight (24:00:00) are out of the range of a time of day (00:00:00 to 23:59:59.999999999); read the column as an `i64`, or through a function with `with = path`
    "#]],
    );
    check(
        read::<NaiveTime, dbz::NanoTime>,
        &["86399999999999", "1"],
        expect![[r#"
        86399999999999 → 23:59:59.999999999
        1 → 00:00:00.000000001
    "#]],
    );
    check(
        read::<NaiveTime, dbz::IsoTime>,
        &["\"10:34:56.789Z\"", "\"10:34:56+02:00\"", "\"10:34:56\"", "\"24:00:00\""],
        expect![[r#"
        "10:34:56.789Z" → 10:34:56.789
        "10:34:56+02:00" → 08:34:56
        "10:34:56" → 10:34:56
        "24:00:00" → error: expected a time of day as text (10:34:56.789), found the text "24:00:00"
    "#]],
    );
}

#[test]
fn decimals() {
    check(
        read::<BigDecimal, dbz::Decimal<2>>,
        &[
            "\"bg==\"",
            "\"+KQy6w==\"",
            "\"AA==\"",
            "\"bg\"",
            "\"\"",
            "\"1.10\"",
            "{\"scale\":14,\"value\":\"AR2552okgw==\"}",
            "{\"scale\":-3,\"value\":\"AQ==\"}",
            "{\"scale\":2000000000,\"value\":\"AQ==\"}",
            "{\"value\":\"AQ==\"}",
            "12345678901234567890.123456789",
            "1e999999999",
            "5",
            "null",
            "[1]",
            "true",
            P,
            "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"",
        ],
        expect![[r#"
            "bg==" → BigDecimal(sign=Plus, scale=2, digits=[110])
            "+KQy6w==" → BigDecimal(sign=Minus, scale=2, digits=[123456789])
            "AA==" → BigDecimal(sign=NoSign, scale=2, digits=[])
            "bg" → error: expected a decimal with scale 2 (base64 of its unscaled value, a number, or an object of scale and value), found the text "bg"
            "" → error: expected a decimal with scale 2 (base64 of its unscaled value, a number, or an object of scale and value), found the text ""
            "1.10" → error: expected a decimal with scale 2 (base64 of its unscaled value, a number, or an object of scale and value), found the text "1.10"
            {"scale":14,"value":"AR2552okgw=="} → BigDecimal(sign=Plus, scale=14, digits=[314159265358979])
            {"scale":-3,"value":"AQ=="} → BigDecimal(sign=Plus, scale=-3, digits=[1])
            {"scale":2000000000,"value":"AQ=="} → error: a decimal's scale is out of range (-131072 to 131072): 2000000000
            {"value":"AQ=="} → error: expected a decimal with scale 2 (base64 of its unscaled value, a number, or an object of scale and value), found an object
            12345678901234567890.123456789 → BigDecimal(sign=Plus, scale=9, digits=[5097733592125636885, 669260594])
            1e999999999 → error: a decimal's scale is out of range (-131072 to 131072): -999999999
            5 → BigDecimal(sign=Plus, scale=0, digits=[5])
            null → error: expected a decimal with scale 2 (base64 of its unscaled value, a number, or an object of scale and value), found null, but the field has no NULL; make it an `Option<…>`
            [1] → error: expected a decimal with scale 2 (base64 of its unscaled value, a number, or an object of scale and value), found an array
            true → error: expected a decimal with scale 2 (base64 of its unscaled value, a number, or an object of scale and value), found true
            "__debezium_unavailable_value" → (unavailable)
            "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==" → (unavailable)
        "#]],
    );
    check(
        read::<BigDecimal, dbz::DecimalText>,
        &["\"1.10\"", "\"-1234567.89\"", "0.1", "\"NaN\"", "\"1,5\"", P],
        expect![[r#"
        "1.10" → BigDecimal(sign=Plus, scale=2, digits=[110])
        "-1234567.89" → BigDecimal(sign=Minus, scale=2, digits=[123456789])
        0.1 → BigDecimal(sign=Plus, scale=1, digits=[1])
        "NaN" → error: expected a decimal, found the text "NaN"
        "1,5" → error: expected a decimal, found the text "1,5"
        "__debezium_unavailable_value" → (unavailable)
    "#]],
    );
    check(
        read::<String, dbz::Decimal<2>>,
        &["\"bg==\"", "\"AA==\"", "{\"scale\":-3,\"value\":\"AQ==\"}"],
        expect![[r#"
        "bg==" → "1.10"
        "AA==" → "0.00"
        {"scale":-3,"value":"AQ=="} → "1000"
    "#]],
    );
    check(
        read::<f64, dbz::Decimal<2>>,
        &["\"bg==\"", "\"+KQy6w==\"", "0.1"],
        expect![[r#"
        "bg==" → 1.1
        "+KQy6w==" → -1234567.89
        0.1 → 0.1
    "#]],
    );
    check(
        read::<i64, dbz::Decimal<0>>,
        &["\"bg==\"", "\"f/////////8=\"", "\"AIAAAAAAAAAA\"", "1.5", "2.0"],
        expect![[r#"
        "bg==" → 110
        "f/////////8=" → 9223372036854775807
        "AIAAAAAAAAAA" → error: expected an integer (i64, -9223372036854775808 to 9223372036854775807), found the decimal 9223372036854775808
        1.5 → error: expected an integer (i64, -9223372036854775808 to 9223372036854775807), found the decimal 1.5
        2.0 → 2
    "#]],
    );
    check(
        read::<Option<BigDecimal>, Opt<dbz::Decimal<2>>>,
        &["null", "\"bg==\"", P],
        expect![[r#"
        null → None
        "bg==" → Some(BigDecimal(sign=Plus, scale=2, digits=[110]))
        "__debezium_unavailable_value" → (unavailable)
    "#]],
    );
    check(
        read::<BigDecimal, dbz::FromSchema>,
        &["\"bg==\"", "{\"scale\":1,\"value\":\"bg==\"}", "1.5"],
        expect![[r#"
        "bg==" → error: the message carries no schema, so the decimal's scale is unknown; write `as = dbz::Decimal(scale)`
        {"scale":1,"value":"bg=="} → BigDecimal(sign=Plus, scale=1, digits=[110])
        1.5 → BigDecimal(sign=Plus, scale=1, digits=[15])
    "#]],
    );
}

#[test]
fn json_numbers_keep_all_their_digits() {
    let digits = "0.1234567890123456789012345678901234567890";
    let read: Presence<String> = read::<String, dbz::DecimalText>(digits).unwrap();
    assert_eq!(read, Presence::Present(digits.to_owned()));
    // A value that was buffered is of serde_json's own number, and has an f64's digits.
    let buffered: Presence<String> = <dbz::DecimalText as Encoding<String>>::read(&json!(0.1), None).unwrap();
    assert_eq!(buffered, Presence::Present("0.1".to_owned()));
}

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

#[test]
fn schemas_decide_where_the_user_did_not() {
    let cases: Vec<(&str, &str, fn(&str, &FieldSchema) -> String)> = vec![
        ("io.debezium.time.Date", "10956", |j, s| show(read_with::<NaiveDate, ByType>(j, Some(s)))),
        ("org.apache.kafka.connect.data.Date", "10956", |j, s| show(read_with::<NaiveDate, ByType>(j, Some(s)))),
        ("io.debezium.time.IsoDate", "\"2024-02-29Z\"", |j, s| show(read_with::<NaiveDate, ByType>(j, Some(s)))),
        ("io.debezium.time.Timestamp", "10956", |j, s| show(read_with::<NaiveDate, ByType>(j, Some(s)))),
        ("io.debezium.time.Timestamp", "1709210096789", |j, s| show(read_with::<NaiveDateTime, ByType>(j, Some(s)))),
        ("org.apache.kafka.connect.data.Timestamp", "1709210096789", |j, s| {
            show(read_with::<NaiveDateTime, ByType>(j, Some(s)))
        }),
        ("io.debezium.time.NanoTimestamp", "1709210096789012345", |j, s| {
            show(read_with::<DateTime<Utc>, ByType>(j, Some(s)))
        }),
        ("org.apache.kafka.connect.data.Time", "86399999", |j, s| show(read_with::<NaiveTime, ByType>(j, Some(s)))),
        ("io.debezium.time.ZonedTime", "\"10:34:56Z\"", |j, s| show(read_with::<NaiveTime, ByType>(j, Some(s)))),
        ("io.debezium.time.MicroTimestamp", "1709210096789", |j, s| {
            show(read_with::<NaiveDateTime, dbz::Timestamp>(j, Some(s)))
        }),
        ("io.debezium.time.NanoTime", "1", |j, s| show(read_with::<NaiveTime, dbz::FromSchema>(j, Some(s)))),
        ("io.debezium.data.Enum", "1", |j, s| show(read_with::<NaiveTime, dbz::FromSchema>(j, Some(s)))),
        ("io.debezium.data.VariableScaleDecimal", "{\"scale\":1,\"value\":\"bg==\"}", |j, s| {
            show(read_with::<String, ByType>(j, Some(s)))
        }),
        ("io.debezium.data.Json", "\"{}\"", |j, s| show(read_with::<Value, ByType>(j, Some(s)))),
    ];
    let mut shown = String::new();
    for (name, json, read) in cases {
        writeln!(shown, "{name} {json} → {}", read(json, &named(name))).unwrap();
    }
    expect![[r#"
        io.debezium.time.Date 10956 → 1999-12-31
        org.apache.kafka.connect.data.Date 10956 → 1999-12-31
        io.debezium.time.IsoDate "2024-02-29Z" → 2024-02-29
        io.debezium.time.Timestamp 10956 → error: expected a date, but the message's schema says that the field is a `io.debezium.time.Timestamp`
        io.debezium.time.Timestamp 1709210096789 → 2024-02-29T12:34:56.789
        org.apache.kafka.connect.data.Timestamp 1709210096789 → 2024-02-29T12:34:56.789
        io.debezium.time.NanoTimestamp 1709210096789012345 → 2024-02-29T12:34:56.789012345Z
        org.apache.kafka.connect.data.Time 86399999 → 23:59:59.999
        io.debezium.time.ZonedTime "10:34:56Z" → 10:34:56
        io.debezium.time.MicroTimestamp 1709210096789 → 2024-02-29T12:34:56.789
        io.debezium.time.NanoTime 1 → 00:00:00.000000001
        io.debezium.data.Enum 1 → error: the message carries no schema that says how a time of day is written; name its encoding: `as = dbz::…`
        io.debezium.data.VariableScaleDecimal {"scale":1,"value":"bg=="} → "11.0"
        io.debezium.data.Json "{}" → Object {}
    "#]].assert_eq(&shown);
}

#[test]
fn schemas_carry_a_decimals_scale() {
    let decimal = FieldSchema { scale: Some(2), ..named("org.apache.kafka.connect.data.Decimal") };
    let text = FieldSchema { carrier: Some("string".to_owned()), ..FieldSchema::default() };
    let array = FieldSchema { items: Some(Box::new(decimal.clone())), ..FieldSchema::default() };
    let shown = [
        show(read_with::<BigDecimal, dbz::FromSchema>("\"bg==\"", Some(&decimal))),
        show(read_with::<BigDecimal, dbz::FromSchema>("\"1.10\"", Some(&text))),
        show(read_with::<String, ByType>("\"bg==\"", Some(&decimal))),
        show(read_with::<f64, ByType>("\"bg==\"", Some(&decimal))),
        show(read_with::<i64, ByType>("\"bg==\"", Some(&decimal))),
        show(read_with::<BigDecimal, dbz::Decimal<0>>("\"bg==\"", Some(&decimal))),
        show(read_with::<Vec<BigDecimal>, Seq<dbz::FromSchema>>("[\"bg==\"]", Some(&array))),
        show(read_with::<BigDecimal, dbz::FromSchema>("\"bg==\"", Some(&named("io.debezium.data.Bits")))),
    ]
    .join("\n");
    expect![[r#"
        BigDecimal(sign=Plus, scale=2, digits=[110])
        BigDecimal(sign=Plus, scale=2, digits=[110])
        "1.10"
        1.1
        error: expected an integer (i64, -9223372036854775808 to 9223372036854775807), found the decimal 1.10
        BigDecimal(sign=Plus, scale=0, digits=[110])
        [BigDecimal(sign=Plus, scale=2, digits=[110])]
        error: the message's schema does not say that the field is a decimal; write `as = dbz::Decimal(scale)` or `as = dbz::DecimalText`"#]].assert_eq(&shown);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn decimals_come_back(bytes in proptest::collection::vec(any::<u8>(), 1..40), scale in -30_i32..30) {
        let decimal = BigDecimal::new(BigInt::from_signed_bytes_be(&bytes), scale.into());
        let value = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &bytes);
        let written = json!({"scale": scale, "value": value}).to_string();
        prop_assert_eq!(read::<BigDecimal, dbz::Decimal<0>>(&written), Ok(Presence::Present(decimal.clone())));
        let text = Value::from(decimal.to_plain_string()).to_string();
        prop_assert_eq!(read::<BigDecimal, dbz::DecimalText>(&text), Ok(Presence::Present(decimal.clone())));
        let schema = FieldSchema { scale: Some(scale), ..named("org.apache.kafka.connect.data.Decimal") };
        let unscaled = Value::from(value).to_string();
        prop_assert_eq!(
            read_with::<BigDecimal, dbz::FromSchema>(&unscaled, Some(&schema)),
            Ok(Presence::Present(decimal))
        );
    }

    #[test]
    fn instants_come_back(micros in any::<i64>()) {
        match read::<NaiveDateTime, dbz::MicroTimestamp>(&micros.to_string()) {
            Ok(Presence::Present(time)) => prop_assert_eq!(time.and_utc().timestamp_micros(), micros),
            Ok(Presence::Unavailable) => prop_assert!(false, "a number is no placeholder"),
            Err(_) => prop_assert!(DateTime::from_timestamp_micros(micros).is_none()),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let json = Value::from(text).to_string();
        // What counts is that none of them panics.
        let _ = (default::<NaiveDate>(&json), default::<DateTime<Utc>>(&json), default::<Vec<u8>>(&json));
        let _ = (default::<Value>(&json), default::<Uuid>(&json), default::<f64>(&json));
        let _ = (read::<NaiveTime, dbz::IsoTime>(&json), read::<NaiveDate, dbz::IsoDate>(&json));
        let _ = (read::<f64, dbz::DecimalText>(&json), read::<String, dbz::Decimal<3>>(&json));
    }
}
