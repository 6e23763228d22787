//! The process's producer: a message and its acknowledgement.

use std::time::Duration;

use metrics::Counter;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::{oneshot, watch};

use crate::app::StartError;
use crate::error::ProduceError;
use crate::kafka::ClientEvents;
use crate::meters::{Meters, catalog};
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
    /// Whether the producer can no longer be used: no further try can succeed.
    pub(crate) fn is_fatal(&self) -> bool {
        self.error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)
    }

    /// Whether the brokers were away, rather than the message refused.
    pub(super) fn is_outage(&self) -> bool {
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

/// Who waits to hear what became of a message.
enum Awaited {
    By(oneshot::Sender<Result<Delivery, KafkaError>>),
    Nobody,
}

/// What librdkafka has to say of the producer.
struct ProducerEvents {
    client: ClientEvents,
    meters: Meters,
    produced: Counter,
    /// Changes with each error: whether it was fatal is asked of the client itself.
    errors: watch::Sender<()>,
}

impl ClientContext for ProducerEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.client.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.client.report(&error, reason);
        self.errors.send_replace(());
    }
}

impl ProducerContext<NoCustomPartitioner> for ProducerEvents {
    type DeliveryOpaque = Box<Awaited>;

    fn delivery(&self, result: &DeliveryResult<'_>, awaited: Box<Awaited>) {
        let outcome = match result {
            Ok(message) => {
                self.produced.increment(1);
                Ok(Delivery { partition: message.partition(), offset: message.offset() })
            }
            Err((error, message)) => {
                self.meters.counter(&catalog::PRODUCE_FAILURES, &[message.topic()]).increment(1);
                Err(error.clone())
            }
        };
        let unheard = match *awaited {
            // Who waited may be gone: a handler that was given up.
            Awaited::By(waiting) => waiting.send(outcome).err(),
            Awaited::Nobody => Some(outcome),
        };
        if let (Some(Err(error)), Err((_, message))) = (unheard, result) {
            tracing::error!(topic = message.topic(), "a message is lost, and nobody waits to hear of it: {error}");
        }
    }
}

/// The process's producer. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Producer {
    inner: ThreadedProducer<ProducerEvents>,
    errors: watch::Receiver<()>,
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

    fn new(config: &ClientConfig, client: ClientEvents) -> Result<Self, ProduceError> {
        let client = client.finding_back(config);
        let meters = client.meters().clone();
        let produced = meters.counter(&catalog::PRODUCED, &[]);
        let (errors, heard) = watch::channel(());
        let inner = config
            .create_with_context(ProducerEvents { client, meters, produced, errors })
            .map_err(|e| ProduceError::caused_by(format!("the producer cannot be made: {e}"), e))?;
        Ok(Self { inner, errors: heard })
    }

    /// Messages that are not acknowledged yet.
    pub(crate) fn in_flight(&self) -> u64 {
        u64::try_from(self.inner.in_flight_count()).unwrap_or(0)
    }

    /// Produces and returns once the broker has acknowledged. A full queue is waited for.
    pub(crate) async fn send(&self, message: &Outgoing) -> Result<Delivery, Refused> {
        /// How often a message that waits for its broker looks after the connection.
        const LOOK_INTERVAL: Duration = Duration::from_secs(1);
        let (waiting, mut acknowledged) = oneshot::channel();
        self.queue(message, Awaited::By(waiting)).await?;
        let answer = loop {
            match tokio::time::timeout(LOOK_INTERVAL, &mut acknowledged).await {
                Ok(answer) => break answer,
                Err(_) => {
                    let client = self.inner.client();
                    client.context().client.find_back(client);
                }
            }
        };
        let refused = |error| Refused { error, topic: message.topic.clone() };
        answer.unwrap_or(Err(KafkaError::Canceled)).map_err(refused)
    }

    /// Produces and returns once the message is queued. A full queue is waited for. If the broker does not take the
    /// message, that is an error in the log.
    pub(crate) async fn enqueue(&self, message: &Outgoing) -> Result<(), Refused> {
        self.queue(message, Awaited::Nobody).await
    }

    /// Waits until what is queued is acknowledged, at most this long. Blocks.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), ProduceError> {
        self.inner.flush(timeout).map_err(|e| {
            let count = self.inner.in_flight_count();
            ProduceError::caused_by(format!("{count} messages were not acknowledged within {timeout:?}: {e}"), e)
        })
    }

    /// Returns when the producer can no longer be used, and why: a fault of librdkafka's, or an idempotent producer
    /// that lost track. Never returns while it can.
    pub(crate) async fn failed(&self) -> String {
        let mut errors = self.errors.clone();
        loop {
            errors.mark_unchanged();
            if let Some((code, reason)) = self.inner.client().fatal_error() {
                return format!("{code}: {reason}");
            }
            if errors.changed().await.is_err() {
                // Not while `self` holds the producer, which has the sender.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn queue(&self, message: &Outgoing, awaited: Awaited) -> Result<(), Refused> {
        /// How long to wait before a full queue is tried again.
        const FULL_QUEUE_WAIT: Duration = Duration::from_millis(5);
        let mut record = record_of(message, awaited);
        loop {
            match self.inner.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    tokio::time::sleep(FULL_QUEUE_WAIT).await;
                }
                Err((error, _)) => return Err(Refused { error, topic: message.topic.clone() }),
            }
        }
    }
}

fn record_of(message: &Outgoing, awaited: Awaited) -> BaseRecord<'_, [u8], [u8], Box<Awaited>> {
    let mut record = BaseRecord::with_opaque_to(&message.topic, Box::new(awaited));
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

#[cfg(test)]
impl Producer {
    /// Makes librdkafka believe that something fatal happened.
    #[expect(unsafe_code, reason = "librdkafka's own test hook, which the wrapper lacks")]
    pub(super) fn fail_fatally(&self) {
        let code = rdkafka::bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        // SAFETY: the client lives as long as `self`, and the text is copied.
        unsafe {
            rdkafka::bindings::rd_kafka_test_fatal_error(
                self.inner.client().native_ptr(),
                code,
                c"as planned".as_ptr(),
            );
        }
    }
}
