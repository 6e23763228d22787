//! What the message's own schema says.

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use expect_test::expect;
use serde_json::Value;

use super::*;

type Case = (&'static str, &'static str, fn(&str, &FieldSchema) -> String);

#[test]
fn schemas_decide_where_the_user_did_not() {
    let cases: Vec<Case> = vec![
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
