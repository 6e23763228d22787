//! The loop that one would write by hand for this one table: one thread that polls, keeps the last message of each
//! key, and writes them together. It knows no retries, no dead letters, no rebalances, and stops at any error.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Double, Nullable, Text, Timestamp};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, ClientContext, Message as _, Offset, TopicPartitionList};
use serde::Deserialize;

use crate::process::{ASSIGNED, FETCH_WAIT_MAX_MS};
use crate::{Failure, registry};

/// Messages in a transaction.
const BATCH: usize = 2_000;

const UPSERT: &str = "
insert into accounts (id, name, email, active, score, version, born, updated)
select * from unnest($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (id) do update set
    name = excluded.name, email = excluded.email, active = excluded.active, score = excluded.score,
    version = excluded.version, born = excluded.born, updated = excluded.updated";

const DELETE: &str = "delete from accounts where id = any($1)";

#[derive(Deserialize)]
struct Key {
    id: i64,
}

// By the record's name in Avro, which its reader insists on.
#[derive(Deserialize)]
#[serde(rename = "Value")]
struct Row {
    id: i64,
    name: String,
    email: Option<String>,
    active: bool,
    score: f64,
    version: i64,
    born: i32,
    updated: i64,
}

pub(crate) struct Events;

impl ClientContext for Events {}

impl ConsumerContext for Events {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(_) = rebalance {
            eprintln!("{ASSIGNED}");
        }
    }
}

/// Of a loop that ends with the topic.
pub(crate) fn config(servers: &str, group: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", FETCH_WAIT_MAX_MS)
        // Else a full queue costs a second.
        .set("fetch.queue.backoff.ms", "5");
    config
}

/// `servers topic group partitions url on|off [registry]`: runs to the topic's end; with a registry, messages are in
/// Avro.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let [servers, topic, group, partitions, url, reduce, registry @ ..] = arguments else {
        return Err("by-hand servers topic group partitions url on|off [registry]".into());
    };
    match registry.first() {
        None => consume(servers, topic, group, partitions.parse()?, url, reduce == "on", &Json),
        Some(registry) => {
            // The first message names the schemas; all are of the same.
            let (key, value) = first_schemas(servers, topic, registry)?;
            let avro = Avro {
                key: GenericDatumReader::builder(&key).build()?,
                value: GenericDatumReader::builder(&value).build()?,
            };
            consume(servers, topic, group, partitions.parse()?, url, reduce == "on", &avro)
        }
    }
}

fn consume(
    servers: &str,
    topic: &str,
    group: &str,
    partitions: usize,
    url: &str,
    reduce: bool,
    decode: &impl Decode,
) -> Result<(), Failure> {
    let consumer: BaseConsumer<Events> = config(servers, group).create_with_context(Events)?;
    let mut conn = PgConnection::establish(url)?;
    consumer.subscribe(&[topic])?;
    let (mut batch, mut ended) = (Batch::default(), BTreeSet::new());
    while ended.len() < partitions {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let key = decode.key(message.key().ok_or("a message without key")?)?;
                let row = message.payload().map(|payload| decode.row(payload)).transpose()?;
                batch.push(key.id, row, reduce);
                batch.positions.insert(message.partition(), message.offset() + 1);
                batch.count += 1;
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
        if batch.count == BATCH {
            batch.write(&mut conn)?;
            batch.store(&consumer, topic)?;
        }
    }
    batch.write(&mut conn)?;
    batch.store(&consumer, topic)?;
    consumer.commit_consumer_state(CommitMode::Sync)?;
    Ok(())
}

trait Decode {
    fn key(&self, bytes: &[u8]) -> Result<Key, Failure>;
    fn row(&self, bytes: &[u8]) -> Result<Row, Failure>;
}

struct Json;

impl Decode for Json {
    fn key(&self, bytes: &[u8]) -> Result<Key, Failure> {
        Ok(serde_json::from_slice(bytes)?)
    }

    fn row(&self, bytes: &[u8]) -> Result<Row, Failure> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

struct Avro<'s> {
    key: GenericDatumReader<'s>,
    value: GenericDatumReader<'s>,
}

/// Before each datum: a zero, and the schema's id.
const FRAME_BYTES: usize = 5;

impl Decode for Avro<'_> {
    fn key(&self, bytes: &[u8]) -> Result<Key, Failure> {
        Ok(self.key.read_deser(&mut bytes.get(FRAME_BYTES..).ok_or("a key without its schema's id")?)?)
    }

    fn row(&self, bytes: &[u8]) -> Result<Row, Failure> {
        Ok(self.value.read_deser(&mut bytes.get(FRAME_BYTES..).ok_or("a value without its schema's id")?)?)
    }
}

/// Of the topic's first message with a value.
fn first_schemas(servers: &str, topic: &str, registry: &str) -> Result<(Schema, Schema), Failure> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", servers).set("group.id", "none").create()?;
    let mut first = TopicPartitionList::new();
    first.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&first)?;
    let schema = |bytes: &[u8]| -> Result<Schema, Failure> {
        let id = bytes.get(1..FRAME_BYTES).ok_or("a message without its schema's id")?;
        Ok(Schema::parse_str(&registry::schema(registry, u32::from_be_bytes(id.try_into()?))?)?)
    };
    for message in &consumer {
        let message = message?;
        if let (Some(key), Some(value)) = (message.key(), message.payload()) {
            return Ok((schema(key)?, schema(value)?));
        }
    }
    Err("the topic has no message".into())
}

#[derive(Default)]
struct Batch {
    /// Each is one statement of rows and one of deletions: the last message of each key, where `None` deletes.
    /// Where nothing is reduced, a key that comes again begins the next.
    parts: Vec<HashMap<i64, Option<Row>>>,
    positions: BTreeMap<i32, i64>,
    count: usize,
}

impl Batch {
    fn push(&mut self, id: i64, row: Option<Row>, reduce: bool) {
        match self.parts.last_mut() {
            Some(part) if reduce || !part.contains_key(&id) => drop(part.insert(id, row)),
            _ => self.parts.push(HashMap::from([(id, row)])),
        }
    }

    fn write(&mut self, conn: &mut PgConnection) -> Result<(), Failure> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in self.parts.drain(..) {
            let (mut columns, mut deleted) = (Columns::default(), Vec::new());
            for (id, row) in part {
                match row {
                    Some(row) => columns.push(row)?,
                    None => deleted.push(id),
                }
            }
            parts.push((columns, deleted));
        }
        conn.transaction(|conn| {
            parts.into_iter().try_for_each(|(columns, deleted)| {
                if !deleted.is_empty() {
                    diesel::sql_query(DELETE).bind::<Array<BigInt>, _>(deleted).execute(conn)?;
                }
                columns.upsert(conn)
            })
        })?;
        Ok(())
    }

    /// For librdkafka to commit, every five seconds and at the end.
    fn store(&mut self, consumer: &BaseConsumer<Events>, topic: &str) -> Result<(), Failure> {
        let mut offsets = TopicPartitionList::new();
        for (partition, position) in std::mem::take(&mut self.positions) {
            offsets.add_partition_offset(topic, partition, Offset::Offset(position))?;
        }
        self.count = 0;
        Ok(consumer.store_offsets(&offsets)?)
    }
}

#[derive(Default)]
struct Columns {
    ids: Vec<i64>,
    names: Vec<String>,
    emails: Vec<Option<String>>,
    active: Vec<bool>,
    scores: Vec<f64>,
    versions: Vec<i64>,
    born: Vec<NaiveDate>,
    updated: Vec<NaiveDateTime>,
}

impl Columns {
    fn push(&mut self, row: Row) -> Result<(), Failure> {
        self.ids.push(row.id);
        self.names.push(row.name);
        self.emails.push(row.email);
        self.active.push(row.active);
        self.scores.push(row.score);
        self.versions.push(row.version);
        self.born.push(NaiveDate::default() + TimeDelta::days(row.born.into()));
        self.updated.push(DateTime::from_timestamp_micros(row.updated).ok_or("a time out of range")?.naive_utc());
        Ok(())
    }

    fn upsert(self, conn: &mut PgConnection) -> QueryResult<()> {
        if self.ids.is_empty() {
            return Ok(());
        }
        diesel::sql_query(UPSERT)
            .bind::<Array<BigInt>, _>(self.ids)
            .bind::<Array<Text>, _>(self.names)
            .bind::<Array<Nullable<Text>>, _>(self.emails)
            .bind::<Array<Bool>, _>(self.active)
            .bind::<Array<Double>, _>(self.scores)
            .bind::<Array<BigInt>, _>(self.versions)
            .bind::<Array<Date>, _>(self.born)
            .bind::<Array<Timestamp>, _>(self.updated)
            .execute(conn)
            .map(drop)
    }
}
