//! What is consumed: Debezium's flattened rows. The same messages each time for the same number of them.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::registry::Registry;
use crate::{Failure, KEYS};

/// Of a hundred messages, so many delete their row.
const DELETES_PERCENT: u64 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Avro,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Json => "json",
            Self::Avro => "avro",
        })
    }
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "avro" => Ok(Self::Avro),
            _ => Err("neither json nor avro"),
        }
    }
}

/// What messages leave behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    pub(crate) rows: u64,
    /// Messages that fail for good.
    pub(crate) failing: u64,
}

/// What is produced.
pub(crate) struct Work<'w> {
    pub(crate) topic: &'w str,
    pub(crate) count: u64,
    pub(crate) keys: u64,
    /// One message in so many fails, if any.
    pub(crate) one_fails_in: Option<u64>,
    /// In Avro, with schemas registered here; else JSON.
    pub(crate) registry: Option<&'w Registry>,
    /// In Avro without the names that say what numbers mean.
    pub(crate) raw: bool,
    /// Of the text that each row has besides, which nothing can compress.
    pub(crate) padding_bytes: usize,
}

impl<'w> Work<'w> {
    /// Small rows in JSON, of which none fails.
    pub(crate) fn plain(topic: &'w str, count: u64) -> Self {
        Self { topic, count, keys: KEYS, one_fails_in: None, registry: None, raw: false, padding_bytes: 0 }
    }
}

pub(crate) fn produce(servers: &str, work: &Work<'_>) -> Result<Left, Failure> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        // In order, whatever happens: a key's last message decides.
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .set("queue.buffering.max.kbytes", "65536")
        // As much as a broker takes by default.
        .set("message.max.bytes", "1048588")
        .create()?;
    let encoder = work.registry.map_or(Ok(Encoder::Json), |registry| Encoder::avro(registry, work))?;
    let mut is_there = vec![false; usize::try_from(work.keys)?];
    let mut failing = 0;
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for version in 0..work.count {
        let random = random_of(version);
        let id = random % work.keys;
        let deletes = (random >> 32) % 100 < DELETES_PERCENT;
        let fails = work.one_fails_in.is_some_and(|many| !deletes && random_of(random).is_multiple_of(many));
        if fails {
            failing += 1;
        } else {
            is_there[usize::try_from(id)?] = !deletes;
        }
        let mut row = Row::of(id, fails, version, random);
        pad(&mut row.name, work.padding_bytes, random);
        encoder.encode(&row, &mut key, &mut value);
        let mut record = BaseRecord::to(work.topic).key(&key);
        record.payload = (!deletes).then_some(&value);
        while let Err((error, again)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            record = again;
            producer.poll(Duration::from_millis(10));
        }
        if version % 1_000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(Left { rows: is_there.into_iter().filter(|is_there| *is_there).count() as u64, failing })
}

struct Row {
    id: u64,
    name: String,
    email: Option<String>,
    active: bool,
    score: f64,
    version: u64,
    /// Days since 1970.
    born: u64,
    /// Microseconds since 1970.
    updated: u64,
}

impl Row {
    fn of(id: u64, fails: bool, version: u64, random: u64) -> Self {
        Self {
            id,
            name: if fails { "refused".to_owned() } else { format!("Account {id}") },
            email: (!random.is_multiple_of(4)).then(|| format!("account{id}@example.org")),
            active: random.is_multiple_of(3),
            score: (random >> 40) as f64 / 64.0,
            version,
            born: (random >> 24) % 20_000,
            updated: 1_700_000_000_000_000 + version * 1_001,
        }
    }
}

/// Appends so many bytes of hexadecimal noise.
fn pad(text: &mut String, bytes: usize, seed: u64) {
    let length = text.len() + bytes;
    let mut random = seed;
    while text.len() < length {
        random = random_of(random);
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{random:016x}");
    }
    text.truncate(length);
}

const KEY_SCHEMA: &str =
    r#"{"type":"record","name":"Key","namespace":"bench.accounts","fields":[{"name":"id","type":"long"}]}"#;

/// As Debezium writes it, with the names that say what numbers mean.
const VALUE_SCHEMA: &str = r#"{"type":"record","name":"Value","namespace":"bench.accounts","fields":[
{"name":"id","type":"long"},
{"name":"name","type":"string"},
{"name":"email","type":["null","string"],"default":null},
{"name":"active","type":"boolean"},
{"name":"score","type":"double"},
{"name":"version","type":"long"},
{"name":"born","type":{"type":"int","connect.version":1,"connect.name":"io.debezium.time.Date"}},
{"name":"updated","type":{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTimestamp"}}
],"connect.name":"bench.accounts.Value"}"#;

enum Encoder {
    Json,
    /// The registry's ids of the schemas.
    Avro {
        key: u32,
        value: u32,
    },
}

impl Encoder {
    fn avro(registry: &Registry, work: &Work<'_>) -> Result<Self, Failure> {
        let mut value = VALUE_SCHEMA.to_owned();
        if work.raw {
            for name in ["Date", "MicroTimestamp"] {
                value = value.replace(&format!(r#","connect.version":1,"connect.name":"io.debezium.time.{name}""#), "");
            }
        }
        let topic = work.topic;
        Ok(Self::Avro {
            key: registry.register(&format!("{topic}-key"), KEY_SCHEMA)?,
            value: registry.register(&format!("{topic}-value"), &value)?,
        })
    }

    fn encode(&self, row: &Row, key: &mut Vec<u8>, value: &mut Vec<u8>) {
        match self {
            Self::Json => {
                *key = format!(r#"{{"id":{}}}"#, row.id).into_bytes();
                *value = json(row).into_bytes();
            }
            Self::Avro { key: key_schema, value: value_schema } => {
                begin(key, *key_schema);
                long(key, row.id);
                begin(value, *value_schema);
                avro(row, value);
            }
        }
    }
}

fn json(row: &Row) -> String {
    let Row { id, name, email, active, score, version, born, updated } = row;
    let email = email.as_ref().map_or_else(|| "null".to_owned(), |email| format!(r#""{email}""#));
    format!(
        r#"{{"id":{id},"name":"{name}","email":{email},"active":{active},"score":{score:?},"version":{version},"born":{born},"updated":{updated}}}"#
    )
}

fn avro(row: &Row, out: &mut Vec<u8>) {
    long(out, row.id);
    string(out, &row.name);
    // The branch of the union.
    long(out, u64::from(row.email.is_some()));
    if let Some(email) = &row.email {
        string(out, email);
    }
    out.push(u8::from(row.active));
    out.extend(row.score.to_le_bytes());
    long(out, row.version);
    long(out, row.born);
    long(out, row.updated);
}

/// Confluent's framing: a zero, and the schema's id.
fn begin(out: &mut Vec<u8>, schema: u32) {
    out.clear();
    out.push(0);
    out.extend(schema.to_be_bytes());
}

/// Zigzag of what is not negative is twice of it; then seven bits a byte, the lowest first.
fn long(out: &mut Vec<u8>, value: u64) {
    let mut rest = value << 1;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn string(out: &mut Vec<u8>, text: &str) {
    long(out, text.len() as u64);
    out.extend(text.as_bytes());
}

/// `splitmix64`: numbers that look random, the same in each run.
pub(crate) fn random_of(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
