//! Producing: a message and its acknowledgement.

mod kafka;

pub use self::kafka::{Kafka, MessageBuilder};

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use crate::app::StartError;
use crate::error::ProduceError;
use crate::kafka::ClientEvents;
use crate::record::Headers;
use crate::settings::{ClientKind, Settings};

/// The largest message that a consumer takes by default (librdkafka's `receive.message.max.bytes`), and 64 KiB for
/// the headers that a dead letter adds: librdkafka's own default of 1 MB would refuse before the broker does.
const MESSAGE_BYTES_MAX: &str = "100065536";

/// A message to produce.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) topic: String,
    /// `None`: by the key.
    pub(crate) partition: Option<i32>,
    /// Milliseconds since 1970; `None`: now.
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    /// `None`: a tombstone.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Headers,
}

/// Where a message was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Why the broker did not take a message.
#[derive(Debug)]
pub(crate) struct Refused {
    error: KafkaError,
    topic: String,
}

impl Refused {
    /// Whether the message was too large.
    pub(crate) fn is_size(&self) -> bool {
        matches!(
            self.error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize)
        )
    }
}

impl Refused {
    /// Whether no message will be taken any more: the producer has lost track of what the broker has, and only a new one
    /// can go on.
    pub(crate) fn is_fatal(&self) -> bool {
        self.error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)
    }

    /// Whether the brokers were away, rather than the message refused.
    fn is_outage(&self) -> bool {
        use RDKafkaErrorCode as Code;
        matches!(
            self.error.rdkafka_error_code(),
            Some(
                Code::MessageTimedOut
                    | Code::BrokerTransportFailure
                    | Code::AllBrokersDown
                    | Code::OperationTimedOut
                    | Code::RequestTimedOut
                    | Code::LeaderNotAvailable
                    | Code::NotEnoughReplicas
                    | Code::NotEnoughReplicasAfterAppend
                    | Code::NetworkException
            )
        )
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "producing to `{}`: {}", self.topic, self.error)
    }
}

impl From<Refused> for ProduceError {
    fn from(refused: Refused) -> Self {
        let is_outage = refused.is_outage();
        let error = Self::caused_by(refused.to_string(), refused.error);
        if is_outage { error.outage() } else { error }
    }
}

/// The process's producer. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Producer {
    inner: FutureProducer<ClientEvents>,
    events: ClientEvents,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

impl Producer {
    /// The producer that the settings describe. Nothing is connected yet.
    pub(crate) fn of_settings(settings: &Settings, events: ClientEvents) -> Result<Self, StartError> {
        let own = settings.client_config(ClientKind::Producer, &|variable| std::env::var(variable).ok())?;
        let mut config = ClientConfig::new();
        config.set("enable.idempotence", "true");
        config.set("message.max.bytes", MESSAGE_BYTES_MAX);
        for (key, value) in own.iter() {
            config.set(key, value);
        }
        Self::new(&config, events).map_err(|e| StartError::Broker(e.to_string()))
    }

    fn new(config: &ClientConfig, events: ClientEvents) -> Result<Self, ProduceError> {
        let events = events.finding_back(config);
        let inner = config
            .create_with_context(events.clone())
            .map_err(|e| ProduceError::caused_by(format!("the producer cannot be made: {e}"), e))?;
        Ok(Self { inner, events })
    }

    /// Produces and returns once the broker has acknowledged. A full queue is waited for.
    pub(crate) async fn send(&self, message: &Outgoing) -> Result<Delivery, Refused> {
        /// How often a message that waits for its broker looks after the connection.
        const LOOK_INTERVAL: Duration = Duration::from_secs(1);
        let mut acknowledged = self.queue(message).await?;
        let refused = |error| Refused { error, topic: message.topic.clone() };
        let answer = loop {
            match tokio::time::timeout(LOOK_INTERVAL, &mut acknowledged).await {
                Ok(answer) => break answer,
                Err(_) => self.events.find_back(self.inner.client()),
            }
        };
        match answer {
            Ok(Ok(delivery)) => Ok(Delivery { partition: delivery.partition, offset: delivery.offset }),
            Ok(Err((error, _))) => Err(refused(error)),
            Err(_) => Err(refused(KafkaError::Canceled)),
        }
    }

    /// Produces and returns once the message is queued.
    pub(crate) async fn enqueue(&self, message: &Outgoing) -> Result<(), Refused> {
        self.queue(message).await.map(drop)
    }

    /// Waits until what is queued is acknowledged, at most this long. Blocks.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), ProduceError> {
        self.inner
            .flush(timeout)
            .map_err(|e| ProduceError::caused_by(format!("messages were not acknowledged within {timeout:?}: {e}"), e))
    }

    async fn queue(&self, message: &Outgoing) -> Result<rdkafka::producer::DeliveryFuture, Refused> {
        /// How long to wait before a full queue is tried again.
        const FULL_QUEUE_WAIT: Duration = Duration::from_millis(5);
        let mut record = record_of(message);
        loop {
            match self.inner.send_result(record) {
                Ok(future) => return Ok(future),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    tokio::time::sleep(FULL_QUEUE_WAIT).await;
                }
                Err((error, _)) => return Err(Refused { error, topic: message.topic.clone() }),
            }
        }
    }
}

fn record_of(message: &Outgoing) -> FutureRecord<'_, [u8], [u8]> {
    let mut record = FutureRecord::to(&message.topic);
    record.partition = message.partition;
    record.timestamp = message.timestamp_ms;
    record.key = message.key.as_deref();
    record.payload = message.value.as_deref();
    if !message.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(message.headers.len());
        record.headers =
            Some(message.headers.iter().fold(headers, |headers, (key, value)| headers.insert(Header { key, value })));
    }
    record
}
