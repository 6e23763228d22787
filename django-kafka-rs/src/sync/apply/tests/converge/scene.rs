//! The tables of these tests, the topics that fill them, and a daemon: what a service has, without its threads.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use diesel::QueryResult;
use tokio_util::sync::CancellationToken;

use super::super::*;
use crate::clock::Clock;
use crate::consumer::batch::BatchEnvironment;
use crate::consumer::topic::{Handler, TopicRuntime, TopicTable};
use crate::context::Context;
use crate::embedded::EmbeddedBroker;
use crate::producer::{Kafka, Suppression};
use crate::relations::{
    Awaited, Chain as KeyChain, Claim, Count, Declared, Group, MessageProcessor, ParkedKey, Parking, Presence, Related,
    Relations, Resolver, Still, TableProcessor, WaitingMessage, Which,
};
use crate::settings::Settings;
use crate::sync::context::{Applied, SyncContext};
use crate::sync::guard::Guard;
use crate::sync::relation::RelationDescriptor;
use crate::topic::{RetryMode, RetrySettings};
use crate::topic_admin::TopicAdmin;

pub(super) const GROUP: &str = "g";
/// Retries before a message is a dead letter.
pub(super) const RETRIES_MAX: u32 = 3;
pub(super) const TOPICS: [&str; 4] = ["customers", "orders", "lines", "nodes"];
/// The columns of each topic's table behind `id`, and the topic that it refers to.
pub(super) const COLUMNS: [[(&str, Option<usize>); 3]; 4] = [
    [("n", None), ("m", None), ("o", None)],
    [("customer", Some(0)), ("n", None), ("m", None)],
    [("item", Some(1)), ("buyer", Some(0)), ("n", None)],
    [("parent", Some(3)), ("n", None), ("m", None)],
];
const SQL: &str = "CREATE TABLE customers (id BIGINT PRIMARY KEY, n BIGINT DEFAULT 5, m BIGINT, o BIGINT);
    CREATE TABLE orders (id BIGINT PRIMARY KEY, customer BIGINT REFERENCES customers, n BIGINT DEFAULT 5, m BIGINT);
    CREATE TABLE lines (
        id BIGINT PRIMARY KEY, item BIGINT REFERENCES orders, buyer BIGINT REFERENCES customers, n BIGINT DEFAULT 5
    );
    CREATE TABLE nodes (id BIGINT PRIMARY KEY, parent BIGINT REFERENCES nodes, n BIGINT DEFAULT 5, m BIGINT);";

const OPTIONS: SyncOptions = SyncOptions { after: Some(after), ..SyncOptions::NONE };

macro_rules! parent {
    ($column:literal, $model:ident) => {
        RelationDescriptor { column: $column, model: || &$model, field: None }
    };
}

macro_rules! named {
    ($name:literal) => {
        || TableName {
            plain: $name,
            #[cfg(feature = "postgres")]
            postgres: concat!("\"", $name, "\"").to_owned(),
            #[cfg(feature = "sqlite")]
            sqlite: concat!("`", $name, "`").to_owned(),
        }
    };
}

const fn of(
    type_name: &'static str,
    columns: &'static [ColumnDescriptor],
    table: fn() -> TableName,
    relations: &'static [RelationDescriptor],
) -> ModelDescriptor {
    ModelDescriptor { relations, decode: decode_unless_failing, ..model(type_name, columns, table, OPTIONS) }
}

static CUSTOMER: ModelDescriptor =
    of("Customer", &[column("id"), column("n"), column("m"), column("o")], named!("customers"), &[]);
static ORDER: ModelDescriptor = of(
    "Order",
    &[column("id"), column("customer"), column("n"), column("m")],
    named!("orders"),
    &[parent!(1, CUSTOMER)],
);
static LINE: ModelDescriptor = of(
    "Line",
    &[column("id"), column("item"), column("buyer"), column("n")],
    named!("lines"),
    &[parent!(1, ORDER), parent!(2, CUSTOMER)],
);
static NODE: ModelDescriptor =
    of("Node", &[column("id"), column("parent"), column("n"), column("m")], named!("nodes"), &[parent!(1, NODE)]);

static MODELS: [&ModelDescriptor; 4] = [&CUSTOMER, &ORDER, &LINE, &NODE];
static MODEL_TOPICS: [ModelTopic; 4] = [
    topic(Targets::One(&CUSTOMER), true),
    topic(Targets::One(&ORDER), true),
    topic(Targets::One(&LINE), true),
    topic(Targets::One(&NODE), true),
];

/// How a message fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fails {
    Decoding,
    /// When its row is written.
    Late,
}

/// A message's topic (its index), partition and offset.
pub(super) type Place = (usize, i32, i64);

thread_local! {
    /// Messages that fail now.
    static FAILING: RefCell<HashSet<(String, i32, i64, Fails)>> = RefCell::default();
    /// Calls of the store until the process is killed.
    static LIFE: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Lets these messages fail while `work` is done, and the process die after as many calls of the store.
pub(super) fn under<T>(failing: &[(Place, Fails)], life: Option<u32>, work: impl FnOnce() -> T) -> T {
    let named =
        failing.iter().map(|((topic, partition, offset), how)| (TOPICS[*topic].to_owned(), *partition, *offset, *how));
    FAILING.set(named.collect());
    LIFE.set(life);
    let done = work();
    FAILING.take();
    LIFE.set(None);
    done
}

fn decode_unless_failing(plan: &ReadPlan, message: &Message<'_>) -> Result<Decoded, ConsumeError> {
    let origin = message.raw().origin();
    let place = (origin.topic.to_string(), origin.partition, origin.offset, Fails::Decoding);
    if FAILING.with_borrow(|failing| failing.contains(&place)) {
        return Err(DecodeError::new("poison").into());
    }
    decode(plan, message)
}

fn after(cx: &SyncContext<'_>, _applied: Applied, _conn: &mut DbConn) -> Result<(), ConsumeError> {
    let place = (cx.topic().to_owned(), cx.partition(), cx.offset(), Fails::Late);
    if FAILING.with_borrow(|failing| failing.contains(&place)) { Err("the hook refuses".into()) } else { Ok(()) }
}

/// The store of a process that may be killed at any of its calls.
struct Mortal;

fn alive() -> QueryResult<&'static TableProcessor> {
    match LIFE.get() {
        Some(0) => return Err(diesel::result::Error::QueryBuilderError("killed".into())),
        Some(left) => LIFE.set(Some(left - 1)),
        None => {}
    }
    Ok(&TableProcessor)
}

macro_rules! mortal {
    ($($name:ident($($argument:ident: $ty:ty),*) -> $result:ty;)*) => {
        impl MessageProcessor for Mortal {
            $(fn $name(&self, conn: &mut DbConn, $($argument: $ty),*) -> QueryResult<$result> {
                alive()?.$name(conn, $($argument),*)
            })*
        }
    };
}

mortal! {
    presence(group: &str, topics: &[&str], models: &[&str]) -> Presence;
    parked(group: &str, chains: &[&KeyChain]) -> Vec<(KeyChain, ParkedKey)>;
    lock(group: &str, chains: &[&KeyChain]) -> ();
    park(group: &str, messages: &[Parking]) -> ();
    judge_anew(group: &str, chains: &[&KeyChain]) -> ();
    forget(group: &str, chains: &[(&KeyChain, i64)]) -> ();
    awaited(rows: &[Awaited]) -> Vec<Awaited>;
    relations(groups: &[String], after: Option<&Awaited>, limit: i64) -> Vec<Awaited>;
    claim(which: Which<'_>, claim: &Claim<'_>) -> Vec<WaitingMessage>;
    held(token: &str, ids: &[i64]) -> HashSet<i64>;
    renew(token: &str, lease_ms: i64) -> ();
    still(group: &str, token: &str, chains: &[Still]) -> ();
    failed(id: i64, attempts: u32, error: &str, due_ms: i64) -> ();
    release(token: &str) -> ();
    is_claimed(groups: &[String]) -> bool;
    list(groups: &[String], after: i64, limit: i64) -> Vec<WaitingMessage>;
    counts(groups: &[String], limit: i64) -> Vec<Count>;
    find(id: i64) -> Option<WaitingMessage>;
    notify(text: &str) -> ();
    discard(ids: &[i64]) -> usize;
}

/// What all scenes share: a broker that takes the daemon's dead letters, and a runtime to send them.
struct Outside {
    runtime: tokio::runtime::Runtime,
    broker: Arc<EmbeddedBroker>,
    kafka: Kafka,
    settings: Arc<Settings>,
}

static OUTSIDE: LazyLock<Outside> = LazyLock::new(|| {
    let broker = Arc::new(EmbeddedBroker::start(1).unwrap());
    for topic in TOPICS {
        broker.create_topic(&format!("{GROUP}.{topic}.dlt")).unwrap();
    }
    let mut settings = Settings::default();
    settings.global_config.set("bootstrap.servers", broker.bootstrap_servers());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let kafka = runtime.block_on(async { Kafka::connect(&settings) }).unwrap();
    Outside { runtime, broker, kafka, settings: Arc::new(settings) }
});

/// A database, the topics' code, and a daemon.
pub(super) struct Scene<'a> {
    bench: &'a Bench,
    topics: Arc<TopicTable>,
    pub(super) resolver: Resolver,
    pub(super) clock: Clock,
}

/// A database with these tables; `open` makes it.
pub(super) fn database(open: impl FnOnce(&'static ModelTopic, &str) -> Bench) -> Bench {
    open(&MODEL_TOPICS[0], SQL)
}

impl<'a> Scene<'a> {
    /// Begins anew in a [`database`].
    pub(super) fn new(bench: &'a Bench) -> Self {
        bench.execute(
            "DELETE FROM lines; DELETE FROM orders; UPDATE nodes SET parent = NULL; DELETE FROM nodes; DELETE FROM \
             customers; DELETE FROM django_kafka_waiting_message; DELETE FROM django_kafka_key_version",
        );
        let clock = Clock::new();
        let declared = Declared::new(MODELS.into_iter(), MODEL_TOPICS.iter(), false);
        let mut relations = Relations::new(declared);
        relations.processor = Arc::new(Mortal);
        let retry =
            RetrySettings { delay_ms: 1_000, mode: RetryMode::NonBlocking, ..RetrySettings::new(RETRIES_MAX as i32) };
        let runtimes = MODEL_TOPICS.iter().zip(TOPICS).map(|(topic, name)| {
            let related = Related { shared: relations.clone(), group: GROUP.into() };
            let guard = Guard::new(GROUP.into(), Duration::from_secs(60), clock.clone());
            let mut sync = ModelSync::new(topic).unwrap().related(related).guarded(guard);
            sync.prepare(&bench.database).unwrap();
            TopicRuntime {
                type_name: name,
                name: name.to_owned(),
                retry: Some(retry),
                suppression: Suppression::default(),
                tracker: None,
                related: None,
                handler: Handler::Models(Box::new(sync)),
            }
        });
        let topics = Arc::new(TopicTable::new(runtimes));
        let environment = environment(&bench.database, &clock);
        let group = Group { topics: topics.clone(), environment, joins: false };
        let (runtime, stop) = (OUTSIDE.runtime.handle().clone(), CancellationToken::new());
        let (models, lease) = (MODELS.into_iter(), Duration::from_secs(60));
        let resolver =
            Resolver::new(bench.database.clone(), relations, vec![group], models, runtime, lease, stop).unwrap();
        Self { bench, topics, resolver, clock }
    }

    /// A lane's batch.
    pub(super) fn apply(&self, topic: usize, records: &[Arc<RawRecord>], caller: &mut dyn Caller) -> Report {
        let Handler::Models(sync) = &self.topics.find(TOPICS[topic]).unwrap().handler else { unreachable!() };
        sync.apply(&self.bench.database, records, caller)
    }

    /// The rows of a topic's table, without NULLs, by their id.
    pub(super) fn rows(&self, topic: usize) -> BTreeMap<i64, BTreeMap<&'static str, i64>> {
        let columns = COLUMNS[topic].map(|(column, _)| column);
        let cells: Vec<String> = columns.iter().map(|column| format!("coalesce('' || {column}, '-')")).collect();
        let sql = format!("SELECT id || ' ' || {} AS line FROM {}", cells.join(" || ' ' || "), TOPICS[topic]);
        let row = |line: String| {
            let mut words = line.split(' ');
            let id = words.next().unwrap().parse().unwrap();
            let cells = columns.into_iter().zip(words).filter_map(|(column, word)| Some((column, word.parse().ok()?)));
            (id, cells.collect())
        };
        self.bench.rows(&sql).into_iter().map(row).collect()
    }

    /// What is parked, and whether it is a deletion.
    pub(super) fn parked(&self) -> BTreeMap<Place, bool> {
        let sql = "SELECT topic || ' ' || partition || ' ' || \"offset\" || ' ' || \
                   CASE WHEN deletion THEN 1 ELSE 0 END AS line FROM django_kafka_waiting_message";
        let of = |line: String| {
            let words: Vec<&str> = line.split(' ').collect();
            let topic = TOPICS.iter().position(|topic| *topic == words[0]).unwrap();
            ((topic, words[1].parse().unwrap(), words[2].parse().unwrap()), words[3] == "1")
        };
        self.bench.rows(sql).into_iter().map(of).collect()
    }

    /// All leases run out.
    pub(super) fn expire(&self) {
        self.bench.execute("UPDATE django_kafka_waiting_message SET claimed_until_ms = 0");
    }
}

fn environment(database: &Database, clock: &Clock) -> BatchEnvironment {
    let Outside { broker, kafka, settings, .. } = &*OUTSIDE;
    let context = Context::new(kafka.clone(), Some(database.clone()), crate::context::States::default());
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap_servers());
    BatchEnvironment {
        consumer: "C".into(),
        group: GROUP.into(),
        settings: settings.clone(),
        producer: context.producer().clone(),
        context,
        clock: clock.clone(),
        topics: TopicAdmin::new(config, Some(broker.clone()), settings.topics.clone()),
        cancel: CancellationToken::new(),
        forces: false,
    }
}
