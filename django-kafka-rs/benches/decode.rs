//! How many records of eight fields a core reads in a second: Avro and JSON, into a model's patch as the runtime does,
//! and into a struct by serde; `apache-avro` beside them. The figures are in `docs/performance.md`.
//!
//! `cargo bench -p django-kafka-rs --no-default-features --features avro,sqlite --bench decode`
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "it measures, and may panic")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use django_kafka_rs::__private as dk;
use django_kafka_rs::prelude::*;
use django_kafka_rs::record::RawRecord;
use django_kafka_rs::sync::decode::{Message, ReadPlan};
use django_kafka_rs::topic::KnownSchemas;
use serde::{Deserialize, Serialize};

diesel::table! {
    rows (id) {
        id -> BigInt,
        version -> BigInt,
        name -> Text,
        note -> Nullable<Text>,
        active -> Bool,
        ratio -> Double,
        born -> Date,
        made -> Timestamp,
    }
}

#[topic(name = "avro", format = avro, register = false)]
#[derive(DbzConsumer)]
#[diesel(table_name = rows)]
struct AvroRow {
    id: i64,
    version: i64,
    name: String,
    note: Option<String>,
    active: bool,
    ratio: f64,
    born: chrono::NaiveDate,
    made: chrono::NaiveDateTime,
}

#[topic(name = "json", register = false)]
#[derive(DbzConsumer)]
#[sync(model = AvroRow)]
struct JsonRows;

/// The same for serde: as the numbers that are written.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    id: i64,
    version: i64,
    name: String,
    note: Option<String>,
    active: bool,
    ratio: f64,
    born: i32,
    made: i64,
}

const SCHEMA: &str = r#"{ "type": "record", "name": "Row", "fields": [
    { "name": "id", "type": "long" },
    { "name": "version", "type": "long" },
    { "name": "name", "type": "string" },
    { "name": "note", "type": ["null", "string"], "default": null },
    { "name": "active", "type": "boolean" },
    { "name": "ratio", "type": "double" },
    { "name": "born", "type": { "type": "int", "connect.name": "io.debezium.time.Date" } },
    { "name": "made", "type": { "type": "long", "connect.name": "io.debezium.time.MicroTimestamp" } }] }"#;
const KEY_SCHEMA: &str = r#"{ "type": "record", "name": "Key", "fields": [{ "name": "id", "type": "long" }] }"#;

fn rows_to_read() -> Vec<Row> {
    let row = |n: i64| Row {
        id: n * 7919,
        version: n,
        name: format!("customer number {n}"),
        note: (n % 3 != 0).then(|| format!("a note of some length, the {n}th")),
        active: n % 2 == 0,
        ratio: n as f64 / 7.0,
        born: 10_000 + n as i32,
        made: 1_700_000_000_000_000 + n * 1_000_003,
    };
    (0..1000).map(row).collect()
}

fn main() {
    let rows = rows_to_read();
    let schema = apache_avro::Schema::parse_str(SCHEMA).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    let avro: Vec<Vec<u8>> = rows.iter().map(|row| writer.write_ser_to_vec(row).unwrap()).collect();
    let json: Vec<Vec<u8>> = rows.iter().map(|row| serde_json::to_vec(row).unwrap()).collect();
    let framed = |id: u8, bytes: &[u8]| [&[0, 0, 0, 0, id], bytes].concat();
    let record = |key, value| RawRecord { key: Some(key), value: Some(value), ..RawRecord::default() };
    let zigzag = |row: &Row| apache_avro::to_avro_datum(&apache_avro::Schema::Long, row.id).unwrap();
    let avro_records: Vec<RawRecord> =
        rows.iter().zip(&avro).map(|(row, bytes)| record(framed(2, &zigzag(row)), framed(1, bytes))).collect();
    let json_key = |row: &Row| format!(r#"{{"id":{}}}"#, row.id).into_bytes();
    let json_records: Vec<RawRecord> =
        rows.iter().zip(&json).map(|(row, bytes)| record(json_key(row), bytes.clone())).collect();
    let schemas = KnownSchemas::default().with(1, SCHEMA).unwrap().with(2, KEY_SCHEMA).unwrap();

    let average = |parts: &[Vec<u8>]| parts.iter().map(Vec::len).sum::<usize>() / parts.len();
    println!("eight fields; Avro {} bytes, JSON {} bytes on average\n", average(&avro), average(&json));
    println!("| from | into | messages/s |\n|---|---|---:|");
    let descriptor = &<AvroRow as dk::SyncModel>::DESCRIPTOR;
    let avro_topic = &<AvroRow as dk::ModelTopicConsumer>::MODEL_TOPIC;
    let json_topic = &<JsonRows as dk::ModelTopicConsumer>::MODEL_TOPIC;
    let plan = ReadPlan::new(avro_topic, descriptor).unwrap();
    measure("Avro, key and value", "the model's patch", &avro_records, |raw| {
        let message = Message::with_schemas(raw, avro_topic, &schemas).unwrap();
        black_box((descriptor.decode)(&plan, &message).unwrap());
    });
    let json_plan = ReadPlan::new(json_topic, descriptor).unwrap();
    measure("JSON, key and value", "the model's patch", &json_records, |raw| {
        let message = Message::without_schemas(raw, json_topic).unwrap();
        black_box((descriptor.decode)(&json_plan, &message).unwrap());
    });
    let part = schemas.part(1);
    measure("Avro, value", "a struct by serde, `record.value()`", &avro_records, |raw| {
        let bytes = raw.value.as_deref().unwrap_or_default();
        black_box(<dk::Avro as dk::Decode<Row>>::decode_with(bytes, &part).unwrap());
    });
    measure("JSON, value", "a struct by serde_json", &json, |bytes| {
        black_box(serde_json::from_slice::<Row>(bytes).unwrap());
    });
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    measure("Avro, value", "a struct by apache-avro's `read_deser`", &avro, |bytes| {
        black_box(reader.read_deser::<Row>(&mut bytes.as_slice()).unwrap());
    });
    measure("Avro, value", "apache-avro's `Value`", &avro, |bytes| {
        black_box(reader.read_value(&mut bytes.as_slice()).unwrap());
    });
}

/// The median of seven rounds of half a second.
fn measure<T>(from: &str, into: &str, inputs: &[T], mut read: impl FnMut(&T)) {
    let mut rates: Vec<f64> = (0..7)
        .map(|_| {
            let (started, mut count) = (Instant::now(), 0_u64);
            while started.elapsed() < Duration::from_millis(500) {
                for input in inputs {
                    read(input);
                }
                count += inputs.len() as u64;
            }
            count as f64 / started.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("| {from} | {into} | {:.2} M |", rates[rates.len() / 2] / 1e6);
}
