//! `Kafka`: producing from inside and outside of handlers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Delivery, Outgoing, Producer, Suppression};
use crate::app::StartError;
use crate::error::{EncodeError, ProduceError};
use crate::kafka::ClientEvents;
use crate::meters::Meters;
use crate::record::Headers;
use crate::schema_registry::{Part, SchemaRegistry};
use crate::settings::Settings;
use crate::topic::{Content, Encode, Encoded, Payload, ProducedTopic, Topic, names};

/// A connection to Kafka that produces. Cheap to clone; all clones share one producer.
///
/// Handlers have its methods on their `Context`.
#[derive(Debug, Clone)]
pub struct Kafka {
    producer: Producer,
    variables: Arc<BTreeMap<String, String>>,
    /// For topics of Avro.
    schema_registry: Option<SchemaRegistry>,
}

impl Kafka {
    pub(crate) fn new(
        producer: Producer,
        variables: Arc<BTreeMap<String, String>>,
        schema_registry: Option<SchemaRegistry>,
    ) -> Self {
        Self { producer, variables, schema_registry }
    }

    /// Connects outside of a service: for programs that only produce.
    ///
    /// The producer is idempotent unless the settings say otherwise. Dropping the last clone drops what is still
    /// queued: [`flush`](Self::flush) before a program ends that used [`enqueue`](Self::enqueue).
    ///
    /// # Errors
    /// The settings are not right for a producer, or name no broker. A broker that is away is no error: librdkafka
    /// goes on looking.
    pub fn connect(settings: &Settings) -> Result<Self, StartError> {
        let servers = [&settings.producer_config, &settings.global_config]
            .into_iter()
            .find_map(|properties| properties.get("bootstrap.servers"));
        if servers.is_none_or(str::is_empty) {
            return Err(StartError::Broker(
                "no broker is named: set `bootstrap.servers` in `[global_config]` of the settings, or \
                 DJANGO_KAFKA__GLOBAL_CONFIG__BOOTSTRAP_SERVERS"
                    .to_owned(),
            ));
        }
        let producer =
            Producer::of_settings(settings, ClientEvents::new("producer", None).counting(&Meters::of_program()))?;
        let schema_registry =
            SchemaRegistry::of_settings(&settings.schema_registry).map_err(StartError::SchemaRegistry)?;
        Ok(Self::new(producer, Arc::new(settings.topic_variables.clone()), schema_registry))
    }

    pub(crate) fn producer(&self) -> &Producer {
        &self.producer
    }

    pub(crate) fn schema_registry(&self) -> Option<&SchemaRegistry> {
        self.schema_registry.as_ref()
    }

    /// Produces a message and returns once the broker has acknowledged it: where it was stored, or `None` where the
    /// topic is [suppressed](super::suppress). A full queue is waited for.
    ///
    /// # Errors
    /// Key or value have no form in the topic's formats, or the broker did not take the message within librdkafka's
    /// `message.timeout.ms`.
    pub async fn produce<T>(
        &self,
        topic: &T,
        key: impl Payload<T::Key>,
        value: impl Payload<T::Value>,
    ) -> Result<Option<Delivery>, ProduceError>
    where
        T: ProducedTopic,
        T::KeyFormat: Encode<T::Key>,
        T::ValueFormat: Encode<T::Value>,
    {
        self.message(topic).key(key).value(value).send().await
    }

    /// Produces a message and returns once it is queued. A full queue is waited for. If the broker does not take the
    /// message, that is an error in the log.
    ///
    /// # Errors
    /// As [`produce`](Self::produce), but for what the broker says.
    pub async fn enqueue<T>(
        &self,
        topic: &T,
        key: impl Payload<T::Key>,
        value: impl Payload<T::Value>,
    ) -> Result<(), ProduceError>
    where
        T: ProducedTopic,
        T::KeyFormat: Encode<T::Key>,
        T::ValueFormat: Encode<T::Value>,
    {
        self.message(topic).key(key).value(value).enqueue().await
    }

    /// Produces a tombstone: a key with a null value.
    ///
    /// # Errors
    /// As [`produce`](Self::produce).
    pub async fn tombstone<T>(&self, topic: &T, key: impl Payload<T::Key>) -> Result<Option<Delivery>, ProduceError>
    where
        T: ProducedTopic,
        T::KeyFormat: Encode<T::Key>,
    {
        self.message(topic).key(key).send().await
    }

    /// A message to fill in: key, value, headers, partition, timestamp.
    ///
    /// Where the topic is [suppressed](super::suppress), now or when it is sent, nothing is produced; where it is
    /// now, nothing is serialized either.
    pub fn message<T: ProducedTopic>(&self, _topic: &T) -> MessageBuilder<'_, T> {
        MessageBuilder::new(self)
    }

    /// Waits until all that is queued is acknowledged or refused, at most this long.
    ///
    /// # Errors
    /// Some messages are still queued.
    pub async fn flush(&self, timeout: Duration) -> Result<(), ProduceError> {
        let producer = self.producer.clone();
        tokio::task::spawn_blocking(move || producer.flush(timeout))
            .await
            .map_err(|e| ProduceError::caused_by("waiting for acknowledgements ended by a fault of ours", e))?
    }

    /// The bytes of a key or value.
    #[cfg_attr(
        not(feature = "avro"),
        expect(unused_variables, clippy::unused_async, reason = "only Avro asks somebody, and for a name")
    )]
    async fn bytes(&self, topic: &str, part: Part, encoded: Encoded) -> Result<Vec<u8>, ProduceError> {
        match encoded.0 {
            Content::Bytes(bytes) => Ok(bytes),
            #[cfg(feature = "avro")]
            Content::Avro { plain, declared } => {
                let Some(registry) = &self.schema_registry else {
                    return Err(ProduceError::new(format!(
                        "{part} for topic `{topic}`: Avro needs a schema registry: set `schema_registry.url` in the \
                         settings"
                    )));
                };
                let bytes = registry.write(topic, part, &plain, declared).await;
                bytes.map_err(|error| error.in_context(&format!("{part} for topic `{topic}`")).into())
            }
        }
    }

    fn name_of<T: Topic>(&self) -> Result<String, ProduceError> {
        let declared = T::DECLARATION;
        names::substitute(declared.name, &self.variables, false).map_err(|e| {
            ProduceError::caused_by(format!("topic `{}` ({}): {e}", declared.type_name, declared.location), e)
        })
    }
}

/// A message being made; [`send`](Self::send) or [`enqueue`](Self::enqueue) produces it. Without a key it has none,
/// without a value it is a tombstone.
#[must_use = "nothing is produced before `send` or `enqueue`"]
#[derive(Debug)]
pub struct MessageBuilder<'k, T> {
    kafka: &'k Kafka,
    draft: Draft,
    key: Option<Encoded>,
    value: Option<Encoded>,
    topic: std::marker::PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum Draft {
    Open(Outgoing),
    /// Nothing more is made of it.
    Suppressed,
    /// The first mistake made so far.
    Faulty(ProduceError),
}

impl<'k, T: ProducedTopic> MessageBuilder<'k, T> {
    fn new(kafka: &'k Kafka) -> Self {
        let draft = match kafka.name_of::<T>() {
            Ok(name) if is_suppressed::<T>(&name) => Draft::Suppressed,
            Ok(topic) => Draft::Open(Outgoing {
                topic,
                partition: None,
                timestamp_ms: None,
                key: None,
                value: None,
                headers: Headers::new(),
            }),
            Err(error) => Draft::Faulty(error),
        };
        Self { kafka, draft, key: None, value: None, topic: std::marker::PhantomData }
    }

    /// The key.
    #[expect(clippy::needless_pass_by_value, reason = "a builder takes its parts: `.key(\"a\")`, `.key(id)`")]
    pub fn key(mut self, key: impl Payload<T::Key>) -> Self
    where
        T::KeyFormat: Encode<T::Key>,
    {
        self.key = self.draft.encoded(Part::Key, || key.encode_as::<T::KeyFormat>());
        self
    }

    /// The value.
    #[expect(clippy::needless_pass_by_value, reason = "a builder takes its parts: `.value(&event)`, `.value(text)`")]
    pub fn value(mut self, value: impl Payload<T::Value>) -> Self
    where
        T::ValueFormat: Encode<T::Value>,
    {
        self.value = self.draft.encoded(Part::Value, || value.encode_as::<T::ValueFormat>());
        self
    }

    /// One more header; a name may repeat.
    pub fn header(self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.set(|message| message.headers.push(name, Some(value.into())))
    }

    /// All of these headers too, for example those of the message that is being handled.
    pub fn headers(self, headers: &Headers) -> Self {
        self.set(|message| {
            for (name, value) in headers.iter() {
                message.headers.push(name, value.map(<[u8]>::to_vec));
            }
        })
    }

    /// The partition; else it follows from the key, as librdkafka's `partitioner` says.
    pub fn partition(self, partition: i32) -> Self {
        self.set(|message| message.partition = Some(partition))
    }

    /// The timestamp in milliseconds since 1970; else now.
    pub fn timestamp_ms(self, ms: i64) -> Self {
        self.set(|message| message.timestamp_ms = Some(ms))
    }

    /// Produces the message and returns once the broker has acknowledged it.
    ///
    /// # Errors
    /// As [`Kafka::produce`].
    pub async fn send(self) -> Result<Option<Delivery>, ProduceError> {
        let producer = &self.kafka.producer;
        match self.finish().await? {
            Some(message) => Ok(Some(producer.send(&message).await?)),
            None => Ok(None),
        }
    }

    /// Produces the message and returns once it is queued.
    ///
    /// # Errors
    /// As [`Kafka::enqueue`].
    pub async fn enqueue(self) -> Result<(), ProduceError> {
        let producer = &self.kafka.producer;
        match self.finish().await? {
            Some(message) => producer.enqueue(&message).await.map_err(Into::into),
            None => Ok(()),
        }
    }

    fn set(mut self, set: impl FnOnce(&mut Outgoing)) -> Self {
        if let Draft::Open(message) = &mut self.draft {
            set(message);
        }
        self
    }

    /// The message with its bytes: those of Avro may need the registry. `None`: it is suppressed.
    async fn finish(self) -> Result<Option<Outgoing>, ProduceError> {
        let mut message = match self.draft {
            Draft::Open(message) if !is_suppressed::<T>(&message.topic) => message,
            Draft::Open(_) | Draft::Suppressed => {
                tracing::debug!(topic = T::DECLARATION.name, "suppressed: a message is not produced");
                return Ok(None);
            }
            Draft::Faulty(error) => return Err(error),
        };
        if let Some(key) = self.key {
            message.key = Some(self.kafka.bytes(&message.topic, Part::Key, key).await?);
        }
        if let Some(value) = self.value {
            message.value = Some(self.kafka.bytes(&message.topic, Part::Value, value).await?);
        }
        Ok(Some(message))
    }
}

impl Draft {
    /// Encodes, where anything more is to be made of the message.
    fn encoded(&mut self, part: Part, encode: impl FnOnce() -> Result<Encoded, EncodeError>) -> Option<Encoded> {
        let Self::Open(message) = self else { return None };
        match encode() {
            Ok(encoded) => Some(encoded),
            Err(e) => {
                let text = format!("{part} for topic `{}`: {e}", message.topic);
                *self = Self::Faulty(ProduceError::caused_by(text, e));
                None
            }
        }
    }
}

/// Whether the topic of this name is suppressed here and now, by this name or the one it was declared with.
fn is_suppressed<T: Topic>(name: &str) -> bool {
    let suppression = Suppression::current();
    suppression.covers(name) || suppression.covers(T::DECLARATION.name)
}
