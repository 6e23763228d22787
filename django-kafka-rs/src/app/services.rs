//! What a started application has open: the broker inside the program, the database, the producer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::{ClientConfig, ClientContext};

use super::StartError;
use crate::db::{self, Database};
use crate::embedded::EmbeddedBroker;
use crate::kafka::{ClientEvents, ErrorHandler};
use crate::meters::Meters;
use crate::producer::{Kafka, Producer};
use crate::schema_registry::{EmbeddedRegistry, SchemaRegistry};
use crate::settings::{ClientKind, Settings};

/// How long a broker may take to answer at start.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers `env("…")`.
pub(crate) fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// Settings with what they say running.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) settings: Arc<Settings>,
    pub(crate) embedded: Option<Arc<EmbeddedBroker>>,
    /// The embedded mode's own, where the settings name no other.
    pub(crate) embedded_registry: Option<EmbeddedRegistry>,
    /// Holds the embedded mode's own database file.
    _temporary: Option<tempfile::TempDir>,
}

impl Services {
    /// Starts the embedded parts, where the settings ask for them, and makes the settings point there.
    pub(crate) fn start(mut settings: Settings) -> Result<Self, StartError> {
        if !settings.embedded.enabled {
            return Ok(Self {
                settings: Arc::new(settings),
                embedded: None,
                embedded_registry: None,
                _temporary: None,
            });
        }
        let partitions = i32::try_from(settings.embedded.partitions).unwrap_or(i32::MAX);
        let broker = EmbeddedBroker::start(partitions).map_err(|e| StartError::Broker(e.to_string()))?;
        settings.global_config.set("bootstrap.servers", broker.bootstrap_servers());
        for (key, value) in crate::embedded::CONSUMER_CONFIG {
            if settings.consumer_config.get(key).is_none() && settings.global_config.get(key).is_none() {
                settings.consumer_config.set(*key, *value);
            }
        }
        // The documented default of retry consumers is ten seconds: long in a test.
        settings.retry_consumer_config.set("topic.metadata.refresh.interval.ms", "200");
        let mut temporary = None;
        if settings.database_url.is_none() && cfg!(feature = "sqlite") {
            let folder = tempfile::Builder::new()
                .prefix("django-kafka-")
                .tempdir()
                .map_err(|e| StartError::System(format!("no folder for the embedded database: {e}")))?;
            settings.database_url = Some(format!("sqlite://{}", folder.path().join("embedded.sqlite3").display()));
            temporary = Some(folder);
        }
        settings.database.synchronous.get_or_insert(crate::settings::Synchronous::Normal);
        let embedded_registry = embedded_registry(&mut settings)?;
        Ok(Self {
            settings: Arc::new(settings),
            embedded: Some(Arc::new(broker)),
            embedded_registry,
            _temporary: temporary,
        })
    }

    /// The database; `None` where the settings name none.
    pub(crate) fn open_database(&self) -> Result<Option<Database>, StartError> {
        self.open_database_of(self.settings.database.pool_size)
    }

    /// The same with so many connections at most, which nothing else uses.
    pub(crate) fn open_database_of(&self, pool_size: u32) -> Result<Option<Database>, StartError> {
        let Some(url) = &self.settings.database_url else { return Ok(None) };
        let settings = &self.settings.database;
        let settings = db::DatabaseSettings {
            url: url.clone(),
            pool_size,
            busy_timeout: settings.busy_timeout,
            synchronous: settings.synchronous.unwrap_or_default(),
        };
        Database::open(&settings).map(Some).map_err(|e| StartError::Database(e.to_string()))
    }

    /// The producer, with what producing needs.
    pub(crate) fn kafka(&self, error_handler: Option<&ErrorHandler>, meters: &Meters) -> Result<Kafka, StartError> {
        let events = ClientEvents::new("producer", error_handler.cloned()).counting(meters);
        let producer = Producer::of_settings(&self.settings, events)?;
        let registry = self.schema_registry()?;
        if let Some(registry) = &registry {
            registry.counting(meters);
        }
        Ok(Kafka::new(producer, Arc::new(self.settings.topic_variables.clone()), registry))
    }

    /// The schema registry; `None` where the settings name none.
    pub(crate) fn schema_registry(&self) -> Result<Option<SchemaRegistry>, StartError> {
        SchemaRegistry::of_settings(&self.settings.schema_registry).map_err(StartError::SchemaRegistry)
    }

    /// The configuration of a client that only asks: no group, no consuming.
    pub(crate) fn asking_config(&self) -> Result<ClientConfig, StartError> {
        let config = self.settings.client_config(ClientKind::Producer, &environment)?;
        let mut client = ClientConfig::new();
        for (key, value) in config.iter() {
            client.set(key, value);
        }
        Ok(client)
    }
}

/// A registry inside the program, where the settings name no other; makes them point there.
#[cfg(feature = "avro")]
fn embedded_registry(settings: &mut Settings) -> Result<Option<EmbeddedRegistry>, StartError> {
    if !settings.schema_registry.urls.is_empty() {
        return Ok(None);
    }
    let registry = EmbeddedRegistry::start()
        .map_err(|e| StartError::System(format!("the embedded schema registry cannot be started: {e}")))?;
    settings.schema_registry.urls = vec![registry.url().to_owned()];
    Ok(Some(registry))
}

/// This build has no Avro.
#[cfg(not(feature = "avro"))]
#[expect(clippy::unnecessary_wraps, reason = "as the other one")]
fn embedded_registry(_: &mut Settings) -> Result<Option<EmbeddedRegistry>, StartError> {
    Ok(None)
}

/// Asks the broker for its topics, or says how to get at it. Blocks, at most ten seconds.
pub(crate) fn reach_broker(client: &ClientConfig) -> Result<Metadata, String> {
    let servers = client.get("bootstrap.servers").unwrap_or_default().to_owned();
    if servers.is_empty() {
        return Err("no broker is named: set `bootstrap.servers` in `[global_config]` of the settings, or \
                    DJANGO_KAFKA__GLOBAL_CONFIG__BOOTSTRAP_SERVERS, or run with `--embedded`"
            .to_owned());
    }
    let asking: BaseConsumer<LastFailure> = client
        .create_with_context(LastFailure::default())
        .map_err(|e| format!("the Kafka client cannot be made: {e}"))?;
    asking.fetch_metadata(None, BROKER_TIMEOUT).map_err(|e| {
        let why = last_failure(&asking).unwrap_or_else(|| e.to_string());
        format!(
            "the broker at `{servers}` does not answer within {} s: {why}; is it running, and is the address right \
             (`bootstrap.servers`)? For a broker inside this program: `--embedded`",
            BROKER_TIMEOUT.as_secs()
        )
    })
}

/// Why the last connection failed: librdkafka tells it only to those who poll for it.
fn last_failure(client: &BaseConsumer<LastFailure>) -> Option<String> {
    /// More than gather within the time given. Where a poll finds a log line it gives nothing, as it does at the end.
    const EVENTS_MAX: usize = 200;
    for _ in 0..EVENTS_MAX {
        // Errors reach the context on the way.
        let _ = client.poll(Duration::ZERO);
    }
    client.context().0.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[derive(Default)]
struct LastFailure(Mutex<Option<String>>);

impl ClientContext for LastFailure {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, error: KafkaError, message: &str) {
        // What follows from the failure of each is no reason.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason(message).to_owned());
        }
    }
}

impl ConsumerContext for LastFailure {}

/// The reason in `host:9092/bootstrap: REASON (after 3ms in state CONNECT, 2 identical error(s) suppressed)`.
fn reason(message: &str) -> &str {
    let reason = message.split_once("/bootstrap: ").map_or(message, |(_, reason)| reason);
    reason.split_once(" (after ").map_or(reason, |(reason, _)| reason)
}
