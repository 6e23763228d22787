//! The service of the `stack` tests about Avro: Debezium's rows by its Avro converter, and events to and from Python.

use std::io::Write as _;
use std::process::ExitCode;

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use django_kafka_rs::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

mod schema {
    diesel::table! {
        use diesel::sql_types::{
            Array, BigInt, Binary, Bool, Date, Double, Jsonb, Nullable, Numeric, SmallInt, Text, Time, Timestamp,
            Timestamptz, Uuid, Varchar,
        };
        people (id) {
            id -> BigInt,
            name -> Text,
            email -> Nullable<Varchar>,
            active -> Bool,
            small -> Nullable<SmallInt>,
            ratio -> Nullable<Double>,
            balance -> Nullable<Numeric>,
            free -> Nullable<Numeric>,
            born -> Nullable<Date>,
            seen -> Nullable<Timestamptz>,
            made -> Nullable<Timestamp>,
            made_ms -> Nullable<Timestamp>,
            opens -> Nullable<Time>,
            gap -> Nullable<BigInt>,
            uid -> Nullable<Uuid>,
            meta -> Nullable<Jsonb>,
            tags -> Nullable<Array<Nullable<Text>>>,
            raw -> Nullable<Binary>,
            big -> Nullable<Text>,
        }
    }
    diesel::table! {
        known (id) {
            id -> BigInt,
            name -> Text,
            balance -> Nullable<diesel::sql_types::Numeric>,
            born -> Nullable<Date>,
        }
    }
}

/// Every type that Debezium writes, and no `as`: the messages' schema says how each is written.
#[topic(name = "${prefix}.public.people", format = avro)]
#[derive(DbzConsumer)]
#[diesel(table_name = schema::people)]
struct Person {
    id: i64,
    name: String,
    email: Option<String>,
    active: bool,
    small: Option<i16>,
    ratio: Option<f64>,
    balance: Option<BigDecimal>,
    free: Option<BigDecimal>,
    born: Option<NaiveDate>,
    seen: Option<DateTime<Utc>>,
    made: Option<NaiveDateTime>,
    made_ms: Option<NaiveDateTime>,
    opens: Option<NaiveTime>,
    gap: Option<i64>,
    uid: Option<Uuid>,
    meta: Option<serde_json::Value>,
    tags: Option<Vec<Option<String>>>,
    raw: Option<Vec<u8>>,
    big: Option<String>,
}

#[consumer(group = "${prefix}-people", topics(Person), config("auto.offset.reset" = "earliest"))]
struct People;

/// What of a row others may know: in the database of the source.
#[derive(Queryable, Selectable, Identifiable)]
#[diesel(table_name = schema::people)]
struct Row {
    id: i64,
    name: String,
    balance: Option<BigDecimal>,
    born: Option<NaiveDate>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    name: String,
    balance: Option<BigDecimal>,
    born: Option<NaiveDate>,
}

#[topic(name = "${prefix}.known", key = i64, value = Told, format = avro, key_schema = "stack/interop/known_key.avsc",
        value_schema = "stack/interop/known.avsc")]
#[derive(TopicReproducer)]
#[reproduce(model = Row, namespace = "${prefix}.public")]
struct PublicPeople;

impl Reproduce for PublicPeople {
    type Model = Row;

    async fn upsert(&self, row: Row, _: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
        let Row { id, name, balance, born } = row;
        cx.produce(self, id, Told { name, balance, born }).await?;
        Ok(())
    }

    async fn delete(&self, id: i64, _: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
        cx.tombstone(self, id).await?;
        Ok(())
    }
}

#[consumer(group = "${prefix}-publisher", topics(Reproducer<PublicPeople>), config("auto.offset.reset" = "earliest"))]
struct Publisher;

/// A replica of it, elsewhere.
#[topic(name = "${prefix}.known", format = avro)]
#[derive(ModelTopicConsumer)]
#[diesel(table_name = schema::known)]
struct KnownPerson {
    id: i64,
    name: String,
    balance: Option<BigDecimal>,
    born: Option<NaiveDate>,
}

#[consumer(group = "${prefix}-known", topics(KnownPerson), config("auto.offset.reset" = "earliest"))]
struct Known;

/// What Python writes and reads too: `tests/stack/interop/events.py` has the same values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Event {
    id: Uuid,
    day: NaiveDate,
    at: DateTime<Utc>,
    time: NaiveTime,
    total: BigDecimal,
    kind: Kind,
    tags: Vec<String>,
    counts: std::collections::BTreeMap<String, i64>,
    note: Option<String>,
    raw: Bytes,
    ratio: f64,
    inner: Option<Inner>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Opened,
    Closed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner {
    n: i32,
}

/// Bytes as serde's own `Vec<u8>` has them: a sequence.
type Bytes = Vec<u8>;

#[topic(name = "${prefix}.from_python", key = String, value = Event, key_format = avro, value_format = avro,
        value_schema = "stack/interop/event.avsc")]
struct FromPython;

/// What was read goes on to Python, and says on standard output whether it is what was expected.
#[topic(name = "${prefix}.to_python", key = String, value = Event, key_format = avro, value_format = avro,
        key_schema = "stack/interop/key.avsc", value_schema = "stack/interop/event.avsc")]
struct ToPython;

impl TopicConsumer for FromPython {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let (key, event) = (record.key()?, record.value()?);
        writeln!(std::io::stdout(), "{key} {}", event == expected(&key))?;
        cx.produce(&ToPython, &key, &event).await?;
        Ok(())
    }
}

/// `full` and `bare`, as the script has them.
fn expected(key: &str) -> Event {
    let is_full = key == "full";
    Event {
        id: Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0),
        day: NaiveDate::from_ymd_opt(1969, 12, 31).unwrap_or_default(),
        at: DateTime::from_timestamp_micros(1_709_202_896_789_012).unwrap_or_default(),
        time: NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).unwrap_or_default(),
        total: BigDecimal::new((-123_456_789_i64).into(), 2),
        kind: if is_full { Kind::Closed } else { Kind::Opened },
        tags: if is_full { vec!["grüße 😀".to_owned(), String::new()] } else { Vec::new() },
        counts: if is_full { [("a".to_owned(), -1)].into() } else { std::collections::BTreeMap::new() },
        note: is_full.then(|| "note".to_owned()),
        raw: if is_full { vec![0, 255] } else { Vec::new() },
        ratio: 0.1,
        inner: is_full.then_some(Inner { n: 64 }),
    }
}

#[consumer(group = "${prefix}-events", topics(FromPython), config("auto.offset.reset" = "earliest"))]
struct Events;

fn main() -> ExitCode {
    django_kafka_rs::run()
}
