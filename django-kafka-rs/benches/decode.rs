//! How many records of eight fields a core reads in a second: Avro and JSON, into a model's patch as the runtime does,
//! and into a struct by serde; `apache-avro` beside them.
//!
//! `just bench-decode`
#![expect(missing_docs, clippy::unwrap_used, reason = "it measures, and may panic")]

use std::hint::black_box;
use std::time::Duration;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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

/// The same thousand rows in each form.
struct Inputs {
    schema: apache_avro::Schema,
    avro: Vec<Vec<u8>>,
    json: Vec<Vec<u8>>,
    avro_records: Vec<RawRecord>,
    json_records: Vec<RawRecord>,
}

impl Inputs {
    fn new() -> Self {
        let rows = rows_to_read();
        let schema = apache_avro::Schema::parse_str(SCHEMA).unwrap();
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        let avro: Vec<Vec<u8>> = rows.iter().map(|row| writer.write_ser_to_vec(row).unwrap()).collect();
        let json: Vec<Vec<u8>> = rows.iter().map(|row| serde_json::to_vec(row).unwrap()).collect();
        let number = GenericDatumWriter::builder(&apache_avro::Schema::Long).build().unwrap();
        let framed = |id: u8, bytes: &[u8]| [&[0, 0, 0, 0, id], bytes].concat();
        let record = |key, value| RawRecord { key: Some(key), value: Some(value), ..RawRecord::default() };
        let avro_key = |row: &Row| framed(2, &number.write_ser_to_vec(&row.id).unwrap());
        let avro_records = rows.iter().zip(&avro).map(|(row, avro)| record(avro_key(row), framed(1, avro))).collect();
        let json_key = |row: &Row| format!(r#"{{"id":{}}}"#, row.id).into_bytes();
        let json_records = rows.iter().zip(&json).map(|(row, json)| record(json_key(row), json.clone())).collect();
        Self { schema, avro, json, avro_records, json_records }
    }
}

fn decode(criterion: &mut Criterion) {
    let inputs = Inputs::new();
    let average = |parts: &[Vec<u8>]| parts.iter().map(Vec::len).sum::<usize>() / parts.len();
    let mut group = criterion.benchmark_group(format!(
        "eight fields (Avro {} bytes, JSON {})",
        average(&inputs.avro),
        average(&inputs.json)
    ));
    group.throughput(Throughput::Elements(inputs.avro.len() as u64));
    group.warm_up_time(Duration::from_secs(1));
    group.measurement_time(Duration::from_secs(5));

    let schemas = KnownSchemas::default().with(1, SCHEMA).unwrap().with(2, KEY_SCHEMA).unwrap();
    let descriptor = &<AvroRow as dk::SyncModel>::DESCRIPTOR;
    let avro_topic = &<AvroRow as dk::ModelTopicConsumer>::MODEL_TOPIC;
    let json_topic = &<JsonRows as dk::ModelTopicConsumer>::MODEL_TOPIC;
    let plan = ReadPlan::new(avro_topic, descriptor).unwrap();
    group.bench_function("Avro, key and value: the model's patch", |bencher| {
        bencher.iter(|| {
            for raw in &inputs.avro_records {
                let message = Message::with_schemas(raw, avro_topic, &schemas).unwrap();
                black_box((descriptor.decode)(&plan, &message).unwrap());
            }
        });
    });
    let plan = ReadPlan::new(json_topic, descriptor).unwrap();
    group.bench_function("JSON, key and value: the model's patch", |bencher| {
        bencher.iter(|| {
            for raw in &inputs.json_records {
                let message = Message::without_schemas(raw, json_topic).unwrap();
                black_box((descriptor.decode)(&plan, &message).unwrap());
            }
        });
    });
    let part = schemas.part(1);
    group.bench_function("Avro, value: a struct by serde, as `record.value()`", |bencher| {
        bencher.iter(|| {
            for raw in &inputs.avro_records {
                let bytes = raw.value.as_deref().unwrap_or_default();
                black_box(<dk::Avro as dk::Decode<Row>>::decode_with(bytes, &part).unwrap());
            }
        });
    });
    group.bench_function("JSON, value: a struct by serde_json", |bencher| {
        bencher
            .iter(|| inputs.json.iter().for_each(|json| drop(black_box(serde_json::from_slice::<Row>(json).unwrap()))));
    });
    let reader = GenericDatumReader::builder(&inputs.schema).build().unwrap();
    group.bench_function("Avro, value: a struct by apache-avro's `read_deser`", |bencher| {
        bencher.iter(|| {
            for avro in &inputs.avro {
                black_box(reader.read_deser::<Row>(&mut avro.as_slice()).unwrap());
            }
        });
    });
    group.bench_function("Avro, value: apache-avro's `Value`", |bencher| {
        bencher.iter(|| {
            for avro in &inputs.avro {
                black_box(reader.read_value(&mut avro.as_slice()).unwrap());
            }
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
