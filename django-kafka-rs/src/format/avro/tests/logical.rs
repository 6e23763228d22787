//! Logical types, and Kafka Connect's names for them.

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use expect_test::expect;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{read, record, there_and_back, write};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Event {
    day: NaiveDate,
    at: DateTime<Utc>,
    at_nanos: DateTime<Utc>,
    local: NaiveDateTime,
    time: NaiveTime,
    total: BigDecimal,
    fixed: BigDecimal,
    id: Uuid,
    id_bytes: Uuid,
    maybe: Option<DateTime<Utc>>,
}

fn event_schema() -> Value {
    record(&json!([
        { "name": "day", "type": { "type": "int", "logicalType": "date" } },
        { "name": "at", "type": { "type": "long", "logicalType": "timestamp-millis" } },
        { "name": "at_nanos", "type": { "type": "long", "logicalType": "timestamp-nanos" } },
        { "name": "local", "type": { "type": "long", "logicalType": "local-timestamp-micros" } },
        { "name": "time", "type": { "type": "long", "logicalType": "time-micros" } },
        { "name": "total", "type": { "type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2 } },
        { "name": "fixed", "type":
            { "type": "fixed", "name": "Money", "size": 8, "logicalType": "decimal", "precision": 18, "scale": 4 } },
        { "name": "id", "type": { "type": "string", "logicalType": "uuid" } },
        { "name": "id_bytes", "type": { "type": "fixed", "name": "Id", "size": 16, "logicalType": "uuid" } },
        { "name": "maybe", "type": ["null", { "type": "long", "logicalType": "timestamp-micros" }] },
    ]))
}

fn event() -> Event {
    Event {
        day: "1969-12-31".parse().unwrap(),
        at: "2024-02-29T10:34:56.789Z".parse().unwrap(),
        at_nanos: "2024-02-29T10:34:56.789012345Z".parse().unwrap(),
        local: "0001-01-01T00:00:00".parse().unwrap(),
        time: "23:59:59.999999".parse().unwrap(),
        total: "-1.10".parse().unwrap(),
        fixed: "-0.0001".parse().unwrap(),
        id: Uuid::from_u128(7),
        id_bytes: Uuid::from_u128(8),
        maybe: Some("1970-01-01T00:00:00.000001Z".parse().unwrap()),
    }
}

#[test]
fn types_of_time_decimals_and_uuids_are_themselves() {
    assert_eq!(there_and_back(&event_schema(), &event()), event());
}

#[test]
fn they_are_numbers_for_who_asks_for_numbers() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Numbers {
        day: i32,
        at: i64,
        total: f64,
    }
    let bytes = write(&event_schema(), &event()).unwrap();
    let numbers: Numbers = read(&event_schema(), &bytes).unwrap();
    assert_eq!(numbers, Numbers { day: -1, at: 1_709_202_896_789, total: -1.1 });
    let any: Value =
        read(&record(&json!([event_schema()["fields"][0], event_schema()["fields"][5]])), &[1, 4, 0xff, 0x92]).unwrap();
    assert_eq!(any, json!({ "day": -1, "total": "-1.10" }));
}

#[test]
fn debeziums_names_say_the_same() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Row {
        born: NaiveDate,
        made: NaiveDateTime,
        opens: NaiveTime,
        balance: BigDecimal,
    }
    let schema = record(&json!([
        { "name": "born", "type": { "type": "int", "connect.version": 1, "connect.name": "io.debezium.time.Date" } },
        { "name": "made", "type": { "type": "long", "connect.name": "io.debezium.time.MicroTimestamp" } },
        { "name": "opens", "type": { "type": "long", "connect.name": "io.debezium.time.NanoTime" } },
        { "name": "balance", "type": { "type": "bytes", "connect.name": "org.apache.kafka.connect.data.Decimal",
            "connect.parameters": { "scale": "2" } } },
    ]));
    let row = Row {
        born: "2024-02-29".parse().unwrap(),
        made: "2024-02-29T10:34:56.789012".parse().unwrap(),
        opens: "10:34:56.000000001".parse().unwrap(),
        balance: "1234567890123456789012345678901234567890.12".parse().unwrap(),
    };
    assert_eq!(there_and_back(&schema, &row), row);
}

#[test]
fn what_a_unit_cannot_hold_is_refused() {
    let long = |logical: &str| record(&json!([{ "name": "v", "type": { "type": "long", "logicalType": logical } }]));
    let decimal = record(&json!([{ "name": "v", "type": { "type": "bytes", "logicalType": "decimal", "scale": 2 } }]));
    let said = [
        write(&long("timestamp-nanos"), &json!({ "v": "3024-02-29T10:34:56Z" })).unwrap_err(),
        write(&long("time-micros"), &json!({ "v": "noon" })).unwrap_err(),
        write(&decimal, &json!({ "v": "1.234" })).unwrap_err(),
        write(&decimal, &json!({ "v": "1e999999999" })).unwrap_err(),
        write(&decimal, &json!({ "v": "abc" })).unwrap_err(),
    ];
    expect![[r#"
        field `v`: expected a timestamp (2024-02-29T10:34:56.789Z) in the range of the schema's unit, found the text "3024-02-29T10:34:56Z"
        field `v`: expected a time of day (10:34:56.789), found the text "noon"
        field `v`: 1.234 has more digits behind the point than the schema's scale, 2
        field `v`: a decimal's scale is out of range (-131072 to 131072)
        field `v`: expected a decimal, found the text "abc""#]].assert_eq(&said.join("\n"));
}

#[test]
fn what_is_finer_than_the_unit_is_cut_off() {
    let long = |logical: &str| record(&json!([{ "name": "v", "type": { "type": "long", "logicalType": logical } }]));
    let number = |logical: &str, text: &str| -> Value {
        let bytes = write(&long(logical), &json!({ "v": text })).unwrap();
        read::<Value>(&long(logical), &bytes).unwrap()["v"].clone()
    };
    assert_eq!(number("timestamp-millis", "1970-01-01T00:00:00.001999Z"), json!(1));
    assert_eq!(number("timestamp-millis", "1969-12-31T23:59:59.999999Z"), json!(-1));
    assert_eq!(number("time-micros", "00:00:00.000001999"), json!(1));
    assert_eq!(number("timestamp-nanos", "1677-09-21T00:12:43.145224192Z"), json!(i64::MIN));
}

#[test]
fn a_logical_type_that_does_not_fit_is_none() {
    let schema = record(&json!([{ "name": "v", "type": { "type": "string", "logicalType": "date" } }]));
    assert_eq!(read::<Value>(&schema, &[2, b'x']).unwrap(), json!({ "v": "x" }));
}

#[test]
fn out_of_range_is_an_error_and_no_panic() {
    let schema = record(&json!([{ "name": "v", "type": { "type": "long", "logicalType": "timestamp-millis" } }]));
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its reading counts")]
    struct Row {
        v: DateTime<Utc>,
    }
    let bytes = write(&schema, &json!({ "v": i64::MAX })).unwrap();
    let error = read::<Row>(&schema, &bytes).unwrap_err();
    assert_eq!(error, "field `v`: 9223372036854775807 (Millis since 1970) are out of the range of timestamps");
}
