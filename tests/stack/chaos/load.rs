//! The load: changes of rows and counted messages, in bursts, while faults come and go. Some messages are poison, and
//! some fail until a time; both say so themselves, and in which round they were produced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, PurgeConfig, ThreadedProducer};

use crate::harness::{Dice, wait_until};

/// Keys of a partition, few enough that each is changed often.
const KEYS: u64 = 40;
/// What a healing message may have to wait for: less than the service's retries take together.
const HEALS_WITHIN_MS: u64 = 1_200;
const PAUSE: Duration = Duration::from_millis(10);

/// The topics, by how failures in them are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A model, retried in place.
    InPlace,
    /// A model with retry topics.
    Hopping,
    /// A handler with retry topics.
    Counted,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::InPlace, Self::Hopping, Self::Counted];

    /// The name of the topic behind its prefix, and of its table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InPlace => "in_place",
            Self::Hopping => "hopping",
            Self::Counted => "counted",
        }
    }

    /// How many retry topics it has.
    pub(super) fn retry_topics(self) -> u32 {
        if self == Self::InPlace { 0 } else { 3 }
    }
}

struct Shared {
    prefix: String,
    partitions: [AtomicI32; 3],
    round: AtomicU64,
    asked_to_pause: AtomicBool,
    is_paused: AtomicBool,
    is_over: AtomicBool,
}

/// A thread that produces.
pub(super) struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts it, paused.
    pub(super) fn start(servers: &str, prefix: &str, partitions: i32, dice: Dice) -> Self {
        let shared = Arc::new(Shared {
            prefix: prefix.to_owned(),
            partitions: [partitions; 3].map(AtomicI32::new),
            round: AtomicU64::new(0),
            asked_to_pause: AtomicBool::new(true),
            is_paused: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let thread = std::thread::spawn({
            let (shared, servers) = (shared.clone(), servers.to_owned());
            move || produce(&shared, &servers, dice)
        });
        Self { shared, thread: Some(thread) }
    }

    pub(super) fn begin_round(&self, round: u64) {
        self.shared.round.store(round, Ordering::Relaxed);
        self.shared.asked_to_pause.store(false, Ordering::Relaxed);
    }

    /// Stops for now; returns when nothing of it is on its way any more.
    pub(super) fn pause(&self) {
        self.shared.asked_to_pause.store(true, Ordering::Relaxed);
        wait_until("the load pauses", || self.shared.is_paused.load(Ordering::Relaxed));
    }

    pub(super) fn partitions(&self, kind: Kind) -> i32 {
        self.shared.partitions[kind as usize].load(Ordering::Relaxed)
    }

    pub(super) fn set_partitions(&self, kind: Kind, partitions: i32) {
        self.shared.partitions[kind as usize].store(partitions, Ordering::Relaxed);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn produce(shared: &Shared, servers: &str, mut dice: Dice) {
    let mut number = 0;
    let mut producer = None;
    while !shared.is_over.load(Ordering::Relaxed) {
        if shared.asked_to_pause.load(Ordering::Relaxed) {
            if let Some(producer) = producer.take() {
                finish(&producer);
            }
            shared.is_paused.store(true, Ordering::Relaxed);
            std::thread::park_timeout(PAUSE);
            continue;
        }
        shared.is_paused.store(false, Ordering::Relaxed);
        let producer = producer.get_or_insert_with(|| new_producer(servers));
        for kind in Kind::ALL {
            let topic = format!("{}.{}", shared.prefix, kind.name());
            let partitions = shared.partitions[kind as usize].load(Ordering::Relaxed);
            for _ in 0..dice.in_range(0..60) {
                number += 1;
                let partition = dice.in_range(0..partitions as u64) as i32;
                let about = About { number, round: shared.round.load(Ordering::Relaxed), partition };
                let message = message(kind, &about, &mut dice);
                let mut record = BaseRecord::<str, str>::to(&topic).key(&message.key).partition(partition);
                record.payload = message.value.as_deref();
                // Not taken (a full queue while the broker is away, a partition that the client does not know yet):
                // then it is not in the log, by which everything is judged.
                let _ = producer.send(record);
            }
        }
        for _ in 0..dice.in_range(1..50) {
            std::thread::park_timeout(PAUSE);
        }
    }
}

fn new_producer(servers: &str) -> ThreadedProducer<DefaultProducerContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("log_level", "0").set("enable.idempotence", "true");
    // New partitions are known soon.
    config.set("topic.metadata.refresh.interval.ms", "500").set("linger.ms", "2");
    config.create().unwrap()
}

/// Sees to it that nothing is on its way any more. What a producer cannot send that has lost its brokers (see the
/// runtime's `kafka`) is given up: it is not in the log.
fn finish(producer: &ThreadedProducer<DefaultProducerContext>) {
    if producer.flush(Duration::from_secs(30)).is_err() {
        producer.purge(PurgeConfig::default().queue().inflight());
    }
}

struct About {
    number: u64,
    round: u64,
    partition: i32,
}

struct Message {
    key: String,
    value: Option<String>,
}

fn message(kind: Kind, about: &About, dice: &mut Dice) -> Message {
    let About { number, round, partition } = about;
    let id = *partition as u64 * 1_000_000_000 + dice.in_range(0..KEYS);
    let tail = format!("{number} of round {round}");
    let until = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        now + HEALS_WITHIN_MS / 2 + number % (HEALS_WITHIN_MS / 2)
    };
    if kind == Kind::Counted {
        let text = match dice.in_range(0..200) {
            0..4 => format!("poison {tail}"),
            4..8 => format!("until {} {tail}", until()),
            _ => tail,
        };
        return Message { key: format!("{id}"), value: Some(text) };
    }
    let key = |id: u64| format!(r#"{{"id":{id}}}"#);
    let own_id = id + 1_000_000 + number * KEYS;
    // In place each costs its partition up to two seconds.
    let sides = if kind == Kind::InPlace { 4_000 } else { 1_000 };
    let value = match dice.in_range(0..sides) {
        0..4 => Some(format!("poison {tail}")),
        4..8 => Some(format!(r#"{{"id":{id},"a":"poison {tail}","version":{number}}}"#)),
        8..12 => {
            // A key of its own: what a newer message of its batch overwrites is never tried (semantics 4.6).
            let value = format!(r#"{{"id":{own_id},"b":"refused {tail}"}}"#);
            return Message { key: key(own_id), value: Some(value) };
        }
        12..15 => Some(format!(r#"{{"id":{id},"a":"until {} {tail}","version":{number}}}"#, until())),
        15..17 => Some(format!(r#"{{"id":{id},"a":"until {} {tail}","b":null,"version":{number}}}"#, until())),
        17..80 => None,
        80..120 => Some(format!(r#"{{"id":{id},"a":"{tail}","__deleted":"true"}}"#)),
        120..300 => Some(format!(r#"{{"id":{id},"a":"{tail}"}}"#)),
        300..450 => Some(format!(r#"{{"id":{id},"b":"{tail}","version":{number}}}"#)),
        450..500 => Some(format!(r#"{{"id":{id},"b":null}}"#)),
        _ => Some(format!(r#"{{"id":{id},"a":"{tail}","b":"{tail}","version":{number}}}"#)),
    };
    Message { key: key(id), value }
}
