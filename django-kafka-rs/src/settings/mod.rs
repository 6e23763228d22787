//! Settings: `django-kafka.toml`, the environment, and the defaults under both.
//!
//! ```toml
//! database_url = "sqlite://shop.sqlite3"
//!
//! [global_config]                      # librdkafka's properties, for consumers and producers
//! bootstrap.servers = "kafka1:9092"
//!
//! [topic_variables]                    # fills `${prefix}` in the names of topics
//! prefix = "shop"
//! ```
//!
//! The file is `django-kafka.toml` in the working directory, or what `--settings` or the environment variable
//! `DJANGO_KAFKA_SETTINGS` names. Environment variables go before the file: `DJANGO_KAFKA__` and the key in upper
//! case, with `__` between its levels; inside `*_CONFIG` a single `_` stands for `.`:
//! `DJANGO_KAFKA__GLOBAL_CONFIG__BOOTSTRAP_SERVERS=kafka1:9092`, `DJANGO_KAFKA__BATCH__MAX=2000`.
//!
//! Durations are seconds (`2`, `0.5`) or text (`"500ms"`, `"2m"`); sizes are bytes or text (`"16MiB"`).
//! Unknown keys, wrong values and options that are not built yet are errors at start, all at once.

mod client;
mod connect;
mod document;
mod effective;
mod error;
#[rustfmt::skip]
mod librdkafka_table;
mod load;
mod metrics;
mod properties;
mod read;
mod read_retry;
mod schema_registry;
mod secret;
mod section;
mod temporal;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) use self::client::ClientKind;
pub use self::connect::{ConnectAuth, ConnectRetry};
pub use self::effective::EffectiveSetting;
pub use self::error::{SettingsErrors, SettingsMistake, Source};
pub use self::load::{LoadOptions, SettingsSource};
pub use self::metrics::MetricsSettings;
pub use self::properties::Properties;
pub use self::schema_registry::SchemaRegistrySettings;
pub(crate) use self::secret::{is_secret, mask};
pub use self::temporal::TemporalSettings;
use crate::consumer::BatchSettings;
pub use crate::db::Synchronous;
use crate::topic::RetrySettings;
use crate::topic::names::Suffixes;

/// Of a claim's lease: long enough to be renewed in time by a process that is busy, and a time that databases count to.
pub(crate) const RELATION_RESOLVER_LEASE: RangeInclusive<Duration> = Duration::from_secs(1)..=values::DURATION_MAX;

/// All settings of a program. [`Settings::default`] has the documented defaults; fields may be set one by one.
///
/// Its `Debug` form and [`effective`](Self::effective) show no secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Tells brokers who asks: `client.id` of consumers and producers, unless their own configuration has one.
    /// Default: `{hostname}-rust`.
    pub client_id: String,
    /// librdkafka properties of consumers and producers. Default: none.
    pub global_config: Properties,
    /// librdkafka properties of producers, over `global_config`. Default: none.
    pub producer_config: Properties,
    /// librdkafka properties of consumers, over `global_config`. Default: none.
    pub consumer_config: Properties,
    /// librdkafka properties of retry consumers, over all others. Default: `auto.offset.reset` = `earliest`,
    /// `enable.auto.offset.store` = `false`, `topic.metadata.refresh.interval.ms` = `10000`.
    pub retry_consumer_config: Properties,
    /// How topics without a `retry(…)` of their own retry. Default: none, a failed message becomes a dead letter.
    pub retry_settings: Option<RetrySettings>,
    /// The part of a retry topic's name before its number. Default: `retry`.
    pub retry_topic_suffix: String,
    /// The end of a dead letter topic's name. Default: `dlt`.
    pub dead_letter_topic_suffix: String,
    /// How long one poll waits for messages at most; never longer than 20 milliseconds, after which it is asked what the
    /// group has to say. Default: 1 second.
    pub polling_frequency: Duration,
    /// Who resolves the relations that messages wait for: inside the service by default.
    pub relation_resolver_daemon: RelationResolverDaemon,
    /// How often it looks at what waits, where nothing tells it to look: 5 seconds by default. The `local` daemon is told of
    /// rows that its own process writes, and on PostgreSQL, by `LISTEN`, of those of other processes; not through a pooler
    /// that keeps no sessions. Temporal's schedule takes whole seconds, at least one.
    pub relation_resolver_daemon_interval: Duration,
    /// How long a daemon's claim on waiting messages lasts unless it is renewed, which happens each third of it: what a
    /// daemon that was killed had in hand is taken over after that long. Default: 1 minute; at least 1 second.
    pub relation_resolver_lease: Duration,
    /// Temporal, where it resolves relations.
    pub temporal: TemporalSettings,
    /// Temporal's task queue, which `temporal-worker` works off. Default: `django-kafka`.
    pub temporal_task_queue: String,
    /// Kafka Connect's REST interface: `http://host:8083`, with a path where it stands behind one. Default: none.
    pub connect_host: Option<String>,
    /// Basic authentication with Kafka Connect. Default: none.
    pub connect_auth: Option<ConnectAuth>,
    /// How often requests to Kafka Connect are repeated.
    pub connect_retry: ConnectRetry,
    /// How long Kafka Connect may take to answer. Default: 30 seconds.
    pub connect_requests_timeout: Duration,
    /// What stands before the names of connectors, with a dot between. Default: nothing.
    pub connector_name_prefix: String,
    /// Where the models' tables are: `postgres://…`, `sqlite://FILE`, or a plain file name (SQLite). Default: none.
    pub database_url: Option<String>,
    /// Connections.
    pub database: DatabaseSettings,
    /// How messages are taken together, where a consumer says nothing else.
    pub batch: BatchLimits,
    /// The key offset tracker.
    pub key_offset_tracker: KeyOffsetTrackerSettings,
    /// Topic reproducers.
    pub reproducer_config: ReproducerSettings,
    /// What `${variable}` stands for in the names of topics and groups. Default: none.
    pub topic_variables: BTreeMap<String, String>,
    /// Topics that this program creates.
    pub topics: TopicSettings,
    /// Where the schemas of Avro messages are.
    pub schema_registry: SchemaRegistrySettings,
    /// What is shown to those who operate the service.
    pub metrics: MetricsSettings,
    /// How long a warm shutdown may take: batches that are not done by then are given up and will be read again.
    /// Default: 30 seconds.
    pub shutdown_timeout: Duration,
    /// The broker inside the program.
    pub embedded: EmbeddedSettings,
    /// What was read, and where: filled by loading, empty otherwise.
    loaded: load::Loaded,
}

/// `[database]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseSettings {
    /// Connections at most, 1 to 1000. Default: 8. The daemon of relations has one more, to listen on PostgreSQL.
    pub pool_size: u32,
    /// How long SQLite waits for another program's lock. Default: 5 seconds.
    pub busy_timeout: Duration,
    /// SQLite's `synchronous`. Default: `full`, and `normal` in embedded mode.
    pub synchronous: Option<Synchronous>,
}

/// `[batch]`: how many messages make a transaction, and how many wait in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchLimits {
    /// Messages in a transaction at most. Default: 5000.
    pub max: u32,
    /// Bytes of messages in a transaction at most; one that is larger goes alone. A transaction holds about six times
    /// as much: as messages, as rows, as parameters, and in libpq. Default: 1 MiB.
    pub bytes: u64,
    /// How long to wait for more messages while nothing else is under way. Default: 0.
    pub linger: Duration,
    /// Messages of one partition that wait in memory at most; then no more is polled, or the partition is paused. All
    /// partitions of a consumer together have four times as many at most: once they do, each is full with an equal
    /// share. At least `max`; with twice as many, the next batch is read while this one is written. Default: 10000, or twice
    /// `max` where that is more.
    pub buffer_messages: u32,
    /// Bytes of one partition's messages that wait in memory at most; then no more is polled, or the partition is
    /// paused. All partitions of a consumer together have four times as many at most, as with `buffer_messages`. At
    /// least `bytes`. Default: 4 MiB.
    pub buffer_bytes: u64,
    /// Transactions of one consumer at the same time, at most `database.pool_size`. Default: 4.
    pub workers: u32,
}

/// `[key_offset_tracker]`: see [`key_offset_tracker`](crate::key_offset_tracker).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyOffsetTrackerSettings {
    /// The tracker's consumer group, which enables it; `${variables}` are filled in. Default: none.
    pub group_id: Option<String>,
}

/// `[reproducer_config]`: where reproducers find the events of their models.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReproducerSettings {
    /// What stands before a table's name in the topic of its events, without a dot at the end; may have
    /// `${variables}`. For topics whose `#[reproduce(…)]` says none. Default: none.
    pub namespace: Option<String>,
}

/// `[topics]`: how topics are created where this program has to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicSettings {
    /// Partitions, at least 1. Default: the broker's.
    pub partitions: Option<u32>,
    /// Replicas, at least 1. Default: the broker's.
    pub replication: Option<u16>,
    /// How long messages are kept. Default: dead letters without limit.
    pub retention: Option<Duration>,
}

/// `[embedded]`: a broker inside the program, for trying things out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddedSettings {
    /// Whether to run it; `--embedded` says so too. Default: false.
    pub enabled: bool,
    /// Partitions of topics that are made when first used, at least 1. Default: 4.
    pub partitions: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let hostname = hostname::get().ok().and_then(|name| name.into_string().ok());
        Self {
            client_id: format!("{}-rust", hostname.as_deref().unwrap_or("localhost")),
            global_config: Properties::default(),
            producer_config: Properties::default(),
            consumer_config: Properties::default(),
            retry_consumer_config: [
                ("auto.offset.reset", "earliest"),
                ("enable.auto.offset.store", "false"),
                ("topic.metadata.refresh.interval.ms", "10000"),
            ]
            .into_iter()
            .collect(),
            retry_settings: None,
            retry_topic_suffix: "retry".to_owned(),
            dead_letter_topic_suffix: "dlt".to_owned(),
            polling_frequency: Duration::from_secs(1),
            relation_resolver_daemon: RelationResolverDaemon::Local,
            relation_resolver_daemon_interval: Duration::from_secs(5),
            relation_resolver_lease: Duration::from_secs(60),
            temporal: TemporalSettings::default(),
            temporal_task_queue: "django-kafka".to_owned(),
            connect_host: None,
            connect_auth: None,
            connect_retry: ConnectRetry::default(),
            connect_requests_timeout: Duration::from_secs(30),
            connector_name_prefix: String::new(),
            database_url: None,
            database: DatabaseSettings::default(),
            batch: BatchLimits::default(),
            key_offset_tracker: KeyOffsetTrackerSettings::default(),
            reproducer_config: ReproducerSettings::default(),
            topic_variables: BTreeMap::new(),
            topics: TopicSettings::default(),
            schema_registry: SchemaRegistrySettings::default(),
            metrics: MetricsSettings::default(),
            shutdown_timeout: Duration::from_secs(30),
            embedded: EmbeddedSettings::default(),
            loaded: load::Loaded::default(),
        }
    }
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { pool_size: 8, busy_timeout: Duration::from_secs(5), synchronous: None }
    }
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            max: 5000,
            bytes: 1 << 20,
            linger: Duration::ZERO,
            buffer_messages: 10_000,
            buffer_bytes: 4 << 20,
            workers: 4,
        }
    }
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self { enabled: false, partitions: 4 }
    }
}

/// Who resolves relations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RelationResolverDaemon {
    /// The service itself.
    #[default]
    Local,
    /// Temporal's schedule and workflows, which the command `temporal-worker` works off; needs the feature `temporal`.
    Temporal,
}

impl RelationResolverDaemon {
    /// As the settings write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Temporal => "temporal",
        }
    }

    /// Whether this program was built with what it needs; else what to do.
    pub(crate) fn is_built(self) -> Result<(), String> {
        match self {
            Self::Temporal if !cfg!(feature = "temporal") => Err(
                "`temporal` needs the feature `temporal` of django-kafka-rs, and this program is built without it: add it \
                 in Cargo.toml, or set `relation_resolver_daemon` to `local`"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }
}

impl Settings {
    /// The suffixes of retry and dead letter topics.
    pub(crate) fn suffixes(&self) -> Suffixes<'_> {
        Suffixes { retry: &self.retry_topic_suffix, dead_letter: &self.dead_letter_topic_suffix }
    }
}

impl BatchLimits {
    /// The limits of a consumer: what its `batch(…)` and `workers` say goes before the settings. Buffers grow to
    /// hold at least one batch.
    #[must_use]
    pub fn of_consumer(&self, batch: &BatchSettings, workers: Option<u32>) -> Self {
        let max = batch.max.unwrap_or(self.max);
        let bytes = batch.bytes_max.unwrap_or(self.bytes);
        Self {
            max,
            bytes,
            linger: batch.linger_ms.map_or(self.linger, Duration::from_millis),
            buffer_messages: self.buffer_messages.max(max),
            buffer_bytes: self.buffer_bytes.max(bytes),
            workers: workers.unwrap_or(self.workers),
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.effective().into_iter().map(|setting| (setting.key, setting.value))).finish()
    }
}
