//! Decimals in each of their forms.

use bigdecimal::BigDecimal;
use expect_test::expect;
use serde_json::json;

use super::*;

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
}

#[test]
fn decimals_as_texts_and_into_other_types() {
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
