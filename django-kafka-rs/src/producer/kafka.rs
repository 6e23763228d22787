//! `Kafka`: producing from inside and outside of handlers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Delivery, Outgoing, Producer};
use crate::app::StartError;
use crate::error::ProduceError;
use crate::kafka::ClientEvents;
use crate::record::Headers;
use crate::settings::Settings;
use crate::topic::{Encode, Payload, ProducedTopic, Topic, names};

/// A connection to Kafka that produces. Cheap to clone; all clones share one producer.
///
/// Handlers have its methods on their `Context`.
#[derive(Debug, Clone)]
pub struct Kafka {
    producer: Producer,
    variables: Arc<BTreeMap<String, String>>,
}

impl Kafka {
    pub(crate) fn new(producer: Producer, variables: Arc<BTreeMap<String, String>>) -> Self {
        Self { producer, variables }
    }

    /// Connects outside of a service: for programs that only produce.
    ///
    /// # Errors
    /// The settings are not right for a producer. A broker that is away is no error: librdkafka goes on looking.
    pub fn connect(settings: &Settings) -> Result<Self, StartError> {
        let producer = Producer::of_settings(settings, ClientEvents::new("producer", None))?;
        Ok(Self::new(producer, Arc::new(settings.topic_variables.clone())))
    }

    pub(crate) fn producer(&self) -> &Producer {
        &self.producer
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
        let message = self.message(topic).key(key).value(value).finish()?;
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
        Self { kafka, message, topic: std::marker::PhantomData }
    }

    /// The key.
    #[expect(clippy::needless_pass_by_value, reason = "a builder takes its parts: `.key(\"a\")`, `.key(id)`")]
    pub fn key(mut self, key: impl Payload<T::Key>) -> Self
    where
        T::KeyFormat: Encode<T::Key>,
    {
        self.set(key.encode_as::<T::KeyFormat>(), "key", |message, bytes| message.key = Some(bytes));
        self
    }

    /// The value.
    #[expect(clippy::needless_pass_by_value, reason = "a builder takes its parts: `.value(&event)`, `.value(text)`")]
    pub fn value(mut self, value: impl Payload<T::Value>) -> Self
    where
        T::ValueFormat: Encode<T::Value>,
    {
        self.set(value.encode_as::<T::ValueFormat>(), "value", |message, bytes| message.value = Some(bytes));
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
        let message = self.message?;
        self.kafka.producer.send(&message).await.map_err(Into::into)
    }

    fn finish(self) -> Result<Outgoing, ProduceError> {
        self.message
    }

    fn set(
        &mut self,
        encoded: Result<Vec<u8>, crate::error::EncodeError>,
        what: &str,
        set: impl FnOnce(&mut Outgoing, Vec<u8>),
    ) {
        let Ok(message) = &mut self.message else { return };
        match encoded {
            Ok(bytes) => set(message, bytes),
            Err(e) => {
                let text = format!("{what} for topic `{}`: {e}", message.topic);
                self.message = Err(ProduceError::caused_by(text, e));
            }
        }
    }
}
