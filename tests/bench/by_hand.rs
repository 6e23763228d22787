//! The loop that one would write by hand for this one table: one thread that polls, keeps the last message of each
//! key, and writes them together. It knows no retries, no dead letters, no rebalances, and stops at any error.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Double, Nullable, Text, Timestamp};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, ClientContext, Message as _, Offset, TopicPartitionList};
use serde::Deserialize;

use crate::process::ASSIGNED;
use crate::{Failure, PARTITIONS};

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

#[derive(Deserialize)]
struct Row {
    name: String,
    email: Option<String>,
    active: bool,
    score: f64,
    version: i64,
    born: i64,
    updated: i64,
}

struct Events;

impl ClientContext for Events {}

impl ConsumerContext for Events {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(_) = rebalance {
            eprintln!("{ASSIGNED}");
        }
    }
}

/// `servers url topic group`: runs to the topic's end.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let [servers, url, topic, group] = arguments else { return Err("by-hand servers url topic group".into()) };
    let consumer: BaseConsumer<Events> = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        // Else a full queue costs a second.
        .set("fetch.queue.backoff.ms", "5")
        .create_with_context(Events)?;
    let mut conn = PgConnection::establish(url)?;
    consumer.subscribe(&[topic])?;
    let (mut batch, mut ended) = (Batch::default(), BTreeSet::new());
    while ended.len() < PARTITIONS as usize {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let key: Key = serde_json::from_slice(message.key().ok_or("a message without key")?)?;
                let row = message.payload().map(serde_json::from_slice::<Row>).transpose()?;
                batch.rows.insert(key.id, row);
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

#[derive(Default)]
struct Batch {
    /// The last message of each key; `None` deletes.
    rows: HashMap<i64, Option<Row>>,
    positions: BTreeMap<i32, i64>,
    count: usize,
}

impl Batch {
    fn write(&mut self, conn: &mut PgConnection) -> Result<(), Failure> {
        let (mut columns, mut deleted) = (Columns::default(), Vec::new());
        for (id, row) in self.rows.drain() {
            match row {
                Some(row) => columns.push(id, row)?,
                None => deleted.push(id),
            }
        }
        conn.transaction(|conn| {
            if !deleted.is_empty() {
                diesel::sql_query(DELETE).bind::<Array<BigInt>, _>(deleted).execute(conn)?;
            }
            columns.upsert(conn)
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
    fn push(&mut self, id: i64, row: Row) -> Result<(), Failure> {
        self.ids.push(id);
        self.names.push(row.name);
        self.emails.push(row.email);
        self.active.push(row.active);
        self.scores.push(row.score);
        self.versions.push(row.version);
        self.born.push(NaiveDate::default() + TimeDelta::days(row.born));
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
