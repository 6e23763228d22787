//! `Kafka`: producing from inside and outside of handlers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Delivery, Outgoing, Producer};
use crate::app::StartError;
use crate::error::{EncodeError, ProduceError};
use crate::kafka::ClientEvents;
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
    /// # Errors
    /// The settings are not right for a producer. A broker that is away is no error: librdkafka goes on looking.
    pub fn connect(settings: &Settings) -> Result<Self, StartError> {
        let producer = Producer::of_settings(settings, ClientEvents::new("producer", None))?;
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

    /// Produces a message and returns once the broker has acknowledged it.
    ///
    /// # Errors
    /// Key or value have no form in the topic's formats, or the broker did not take the message within librdkafka's
    /// `message.timeout.ms`.
    pub async fn produce<T>(
        &self,
        topic: &T,
        key: impl Payload<T::Key>,
        value: impl Payload<T::Value>,
    ) -> Result<Delivery, ProduceError>
    where
        T: ProducedTopic,
        T::KeyFormat: Encode<T::Key>,
        T::ValueFormat: Encode<T::Value>,
    {
        self.message(topic).key(key).value(value).send().await
    }

    /// Produces a message and returns once it is queued. Whether the broker took it is not learnt.
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
        let message = self.message(topic).key(key).value(value).finish().await?;
        self.producer.enqueue(&message).await.map_err(Into::into)
    }

    /// Produces a tombstone: a key with a null value.
    ///
    /// # Errors
    /// As [`produce`](Self::produce).
    pub async fn tombstone<T>(&self, topic: &T, key: impl Payload<T::Key>) -> Result<Delivery, ProduceError>
    where
        T: ProducedTopic,
        T::KeyFormat: Encode<T::Key>,
    {
        self.message(topic).key(key).send().await
    }

    /// A message to fill in: key, value, headers, partition, timestamp.
    pub fn message<T: ProducedTopic>(&self, _topic: &T) -> MessageBuilder<'_, T> {
        MessageBuilder::new(self)
    }

    /// The bytes of a key or value.
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

/// A message being made; [`send`](Self::send) produces it. Without a key it has none, without a value it is a
/// tombstone.
#[must_use = "nothing is produced before `send`"]
#[derive(Debug)]
pub struct MessageBuilder<'k, T> {
    kafka: &'k Kafka,
    /// The first mistake made so far.
    message: Result<Outgoing, ProduceError>,
    key: Option<Encoded>,
    value: Option<Encoded>,
    topic: std::marker::PhantomData<fn() -> T>,
}

impl<'k, T: ProducedTopic> MessageBuilder<'k, T> {
    fn new(kafka: &'k Kafka) -> Self {
        let message = kafka.name_of::<T>().map(|topic| Outgoing {
            topic,
            partition: None,
            timestamp_ms: None,
            key: None,
            value: None,
            headers: Headers::new(),
        });
        Self { kafka, message, key: None, value: None, topic: std::marker::PhantomData }
    }

    /// The key.
    #[expect(clippy::needless_pass_by_value, reason = "a builder takes its parts: `.key(\"a\")`, `.key(id)`")]
    pub fn key(mut self, key: impl Payload<T::Key>) -> Self
    where
        T::KeyFormat: Encode<T::Key>,
    {
        self.key = self.encoded(key.encode_as::<T::KeyFormat>(), Part::Key);
        self
    }

    /// The value.
    #[expect(clippy::needless_pass_by_value, reason = "a builder takes its parts: `.value(&event)`, `.value(text)`")]
    pub fn value(mut self, value: impl Payload<T::Value>) -> Self
    where
        T::ValueFormat: Encode<T::Value>,
    {
        self.value = self.encoded(value.encode_as::<T::ValueFormat>(), Part::Value);
        self
    }

    /// One more header; a name may repeat.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        if let Ok(message) = &mut self.message {
            message.headers.push(name, Some(value.into()));
        }
        self
    }

    /// The partition; else it follows from the key.
    pub fn partition(mut self, partition: i32) -> Self {
        if let Ok(message) = &mut self.message {
            message.partition = Some(partition);
        }
        self
    }

    /// The timestamp in milliseconds since 1970; else now.
    pub fn timestamp_ms(mut self, ms: i64) -> Self {
        if let Ok(message) = &mut self.message {
            message.timestamp_ms = Some(ms);
        }
        self
    }

    /// Produces the message and returns once the broker has acknowledged it.
    ///
    /// # Errors
    /// As [`Kafka::produce`].
    pub async fn send(self) -> Result<Delivery, ProduceError> {
        let kafka = self.kafka;
        let message = self.finish().await?;
        kafka.producer.send(&message).await.map_err(Into::into)
    }

    /// The message with its bytes: those of Avro may need the registry.
    async fn finish(self) -> Result<Outgoing, ProduceError> {
        let mut message = self.message?;
        if let Some(key) = self.key {
            message.key = Some(self.kafka.bytes(&message.topic, Part::Key, key).await?);
        }
        if let Some(value) = self.value {
            message.value = Some(self.kafka.bytes(&message.topic, Part::Value, value).await?);
        }
        Ok(message)
    }

    fn encoded(&mut self, encoded: Result<Encoded, EncodeError>, part: Part) -> Option<Encoded> {
        let message = self.message.as_ref().ok()?;
        match encoded {
            Ok(encoded) => Some(encoded),
            Err(e) => {
                let text = format!("{part} for topic `{}`: {e}", message.topic);
                self.message = Err(ProduceError::caused_by(text, e));
                None
            }
        }
    }
}
