//! Every message captured from the real stack, value by value.

use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use expect_test::{ExpectFile, expect_file};
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::format::debezium::{ByType, DefaultEncoding, Opt, Serde, dbz};
use crate::sync::model::{Dialect, Targets};

/// An enum of the database's, as users write theirs.
#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mood {
    Glad,
    Sad,
}

type By<T> = <T as DefaultEncoding>::Encoding;

macro_rules! users {
    ($name:ident, $descriptor:ident, $balance:ty, $free:ty, $made:ty, $opens:ty) => {
        patch! {
            $name, $descriptor, "users",
            0 id: i64, By<i64>;
            1 name: String, By<String>;
            2 email: Option<String>, By<Option<String>>;
            3 active: bool, By<bool>;
            4 small: Option<i16>, By<Option<i16>>;
            5 ratio: Option<f64>, By<Option<f64>>;
            6 balance: Option<BigDecimal>, Opt<$balance>;
            7 free: Option<String>, Opt<$free>;
            8 born: Option<NaiveDate>, By<Option<NaiveDate>>;
            9 seen: Option<DateTime<Utc>>, By<Option<DateTime<Utc>>>;
            10 made: Option<NaiveDateTime>, Opt<$made>;
            11 made_ms: Option<NaiveDateTime>, Opt<dbz::Timestamp>;
            12 opens: Option<NaiveTime>, Opt<$opens>;
            13 gap: Option<i64>, By<Option<i64>>;
            14 uid: Option<Uuid>, By<Option<Uuid>>;
            15 meta: Option<Value>, By<Option<Value>>;
            16 tags: Option<Vec<Option<String>>>, By<Option<Vec<Option<String>>>>;
            17 raw: Option<Vec<u8>>, By<Option<Vec<u8>>>;
            18 mood: Option<Mood>, Serde;
            19 big: Option<String>, By<Option<String>>;
            20 later: Option<String>, By<Option<String>>;
        }
    };
}

// Without schemas the user says what nothing in the message does.
users!(Precise, PRECISE, dbz::Decimal<2>, dbz::Decimal<0>, dbz::MicroTimestamp, dbz::MicroTime);
// `decimal.handling.mode = string`, `time.precision.mode = connect`.
users!(Texts, TEXTS, dbz::DecimalText, dbz::DecimalText, dbz::Timestamp, dbz::Time);
// With schemas the message says it all.
users!(Schemas, SCHEMAS, dbz::FromSchema, ByType, ByType, ByType);

patch! {
    A, MODEL_A, "a",
    0 id: i64, By<i64>;
    1 note: Option<String>, By<Option<String>>;
}
patch! {
    B, MODEL_B, "b",
    0 id: i64, By<i64>;
    1 note: Option<String>, By<Option<String>>;
    2 extra: Option<i32>, By<Option<i32>>;
}

pub(super) struct Captured {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
}

pub(super) fn captured(name: &str) -> Vec<Captured> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data").join(name);
    let lines = std::fs::read_to_string(path).unwrap();
    let bytes = |value: &Value| value.as_str().map(|text| STANDARD.decode(text).unwrap());
    lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|message| Captured { key: bytes(&message["key"]), value: bytes(&message["value"]) })
        .collect()
}

#[expect(clippy::needless_pass_by_value, reason = "as `expect_file!` makes it")]
fn check(name: &str, topic: &ModelTopic, show: fn(Result<Decoded, ConsumeError>) -> String, expected: ExpectFile) {
    check_by(name, topic, &NoSchemas, show, &expected);
}

pub(super) fn check_by(
    name: &str,
    topic: &ModelTopic,
    schemas: &dyn SchemaSource,
    show: fn(Result<Decoded, ConsumeError>) -> String,
    expected: &ExpectFile,
) {
    let mut shown = String::new();
    for message in captured(name) {
        let row = show(decode_by(topic, schemas, message.key.as_deref(), message.value.as_deref()));
        // The TOASTed text is thousands of characters of one kind.
        let big = row.find("bbbbbbbb").map_or(0, |start| row[start..].bytes().take_while(|b| *b == b'b').count());
        let row = if big > 0 { row.replace(&"b".repeat(big), &format!("{big} × b")) } else { row };
        writeln!(shown, "{row}").unwrap();
    }
    expected.assert_eq(&shown);
}

#[test]
fn smoke_json() {
    let topic = topic(Dialect::Debezium, Targets::One(&PRECISE));
    check("smoke_json.jsonl", &topic, show::<Precise>, expect_file!["expected/smoke_json.txt"]);
}

#[test]
fn smoke_json_string() {
    let topic = topic(Dialect::Debezium, Targets::One(&TEXTS));
    check("smoke_json_string.jsonl", &topic, show::<Texts>, expect_file!["expected/smoke_json_string.txt"]);
}

#[test]
fn smoke_json_schema() {
    let topic = topic(Dialect::Debezium, Targets::One(&SCHEMAS));
    check("smoke_json_schema.jsonl", &topic, show::<Schemas>, expect_file!["expected/smoke_json_schema.txt"]);
}

#[test]
fn smoke_envelope() {
    let topic = topic(Dialect::Debezium, Targets::One(&PRECISE));
    check("smoke_envelope.jsonl", &topic, show::<Precise>, expect_file!["expected/smoke_envelope.txt"]);
}

#[test]
fn an_envelope_and_a_flat_stream_say_the_same() {
    let topic = topic(Dialect::Debezium, Targets::One(&PRECISE));
    let rows = |name: &str| -> Vec<String> {
        captured(name)
            .into_iter()
            // The envelope's stream has tombstones behind its deletions.
            .filter(|message| message.value.is_some())
            .map(|message| show::<Precise>(decode(&topic, message.key.as_deref(), message.value.as_deref())))
            .collect()
    };
    assert_eq!(rows("smoke_json.jsonl"), rows("smoke_envelope.jsonl"));
}

pub(super) fn show_rerouted(decoded: Result<Decoded, ConsumeError>) -> String {
    let is_a = match &decoded {
        Ok(Decoded::Upsert { row, .. } | Decoded::Delete { row, .. }) => row.as_any().is::<A>(),
        _ => false,
    };
    if is_a { show::<A>(decoded) } else { show::<B>(decoded) }
}

#[test]
fn smoke_reroute() {
    const MAP: &[(&str, &ModelDescriptor)] =
        &[("smoke_reroute.public.smoke_reroute_a", &MODEL_A), ("smoke_reroute.public.smoke_reroute_b", &MODEL_B)];
    let topic = topic(Dialect::Debezium, Targets::Reroute(MAP));
    check("smoke_reroute.jsonl", &topic, show_rerouted, expect_file!["expected/smoke_reroute.txt"]);
}

#[test]
fn smoke_reroute_short() {
    const MAP: &[(&str, &ModelDescriptor)] =
        &[("public.smoke_reroute_short_a", &MODEL_A), ("public.smoke_reroute_short_b", &MODEL_B)];
    let topic = topic(Dialect::Debezium, Targets::Reroute(MAP));
    check("smoke_reroute_short.jsonl", &topic, show_rerouted, expect_file!["expected/smoke_reroute_short.txt"]);
}

#[test]
fn smoke_reroute_plain() {
    let topic = topic(Dialect::Debezium, Targets::One(&MODEL_B));
    check("smoke_reroute_plain.jsonl", &topic, show_rerouted, expect_file!["expected/smoke_reroute_plain.txt"]);
}
