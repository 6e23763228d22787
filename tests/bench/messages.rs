//! What is consumed: Debezium's flattened rows as JSON. The same messages each time for the same number of them.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::Failure;

/// Of a hundred messages, so many delete their row.
const DELETES_PERCENT: u64 = 2;

/// What messages leave behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    pub(crate) rows: u64,
    /// Messages that fail for good.
    pub(crate) failing: u64,
}

/// Produces `count` messages over `keys` keys, of which one in `one_fails_in` fails, if any.
pub(crate) fn produce(
    servers: &str,
    topic: &str,
    count: u64,
    keys: u64,
    one_fails_in: Option<u64>,
) -> Result<Left, Failure> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        // In order, whatever happens: a key's last message decides.
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .set("queue.buffering.max.kbytes", "65536")
        .create()?;
    let mut is_there = vec![false; usize::try_from(keys)?];
    let mut failing = 0;
    for version in 0..count {
        let random = random_of(version);
        let id = random % keys;
        let deletes = (random >> 32) % 100 < DELETES_PERCENT;
        let fails = one_fails_in.is_some_and(|many| !deletes && random_of(random).is_multiple_of(many));
        if fails {
            failing += 1;
        } else {
            is_there[usize::try_from(id)?] = !deletes;
        }
        let name = if fails { "refused".to_owned() } else { format!("Account {id}") };
        let (key, value) = (format!(r#"{{"id":{id}}}"#), row(id, &name, version, random));
        let mut record = BaseRecord::to(topic).key(&key);
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

fn row(id: u64, name: &str, version: u64, random: u64) -> String {
    let email = if random.is_multiple_of(4) { "null".to_owned() } else { format!(r#""account{id}@example.org""#) };
    let active = random.is_multiple_of(3);
    let score = (random >> 40) as f64 / 64.0;
    let born = (random >> 24) % 20_000;
    let updated = 1_700_000_000_000_000 + version * 1_001;
    format!(
        r#"{{"id":{id},"name":"{name}","email":{email},"active":{active},"score":{score:?},"version":{version},"born":{born},"updated":{updated}}}"#
    )
}

/// `splitmix64`: numbers that look random, the same in each run.
fn random_of(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
