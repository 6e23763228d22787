//! A message as handlers see it: our own types, none of the Kafka client's.

use std::marker::PhantomData;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::error::DecodeError;
use crate::topic::{Decode, PartSchema, Schemas, Topic};

/// A message's headers in their order; a name may repeat, a value may be null.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Option<Vec<u8>>)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header after the others.
    pub fn push(&mut self, name: impl Into<String>, value: Option<Vec<u8>>) {
        self.0.push((name.into(), value));
    }

    /// The value of the last header of this name; `None` where there is none or its value is null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().rev().find(|(n, _)| n == name).and_then(|(_, v)| v.as_deref())
    }

    /// All headers in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_deref()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where a message stands: the identity by which it is counted, retried and ordered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The topic of the first reading.
    pub topic: Arc<str>,
    /// The partition of the first reading.
    pub partition: i32,
    /// The offset of the first reading.
    pub offset: i64,
}

/// What is known of a message that was read from a retry topic.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried {
    /// Where it was first read.
    pub origin: Origin,
    /// Which retry it is, from 1.
    pub attempt: u32,
}

/// A message as it came, owned: key and value bytes untouched.
#[derive(Debug, Clone)]
pub struct RawRecord {
    /// The topic it was read from.
    pub topic: Arc<str>,
    /// The partition it was read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Milliseconds since 1970, where the message has a timestamp.
    pub timestamp_ms: Option<i64>,
    /// Whether the broker has set the timestamp, rather than who produced the message.
    #[doc(hidden)]
    pub is_log_append_time: bool,
    /// The key's bytes; `None` is a null key.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Headers,
    /// Where it came through a retry topic.
    #[doc(hidden)]
    pub retried: Option<Arc<Retried>>,
}

impl Default for RawRecord {
    fn default() -> Self {
        Self {
            topic: "".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            is_log_append_time: false,
            key: None,
            value: None,
            headers: Headers::new(),
            retried: None,
        }
    }
}

impl RawRecord {
    /// What it weighs in a buffer, in bytes: payloads, headers and a fixed share for the rest.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(n, v)| n.len() + v.map_or(0, <[u8]>::len) + 48).sum();
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers + size_of::<Self>()
    }

    /// Where it was first read: itself, unless it came through a retry topic.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match &self.retried {
            Some(retried) => retried.origin.clone(),
            None => Origin { topic: self.topic.clone(), partition: self.partition, offset: self.offset },
        }
    }

    /// Which retry it is: 0 for a message of its own topic.
    #[must_use]
    pub fn retry_number(&self) -> u32 {
        self.retried.as_ref().map_or(0, |retried| retried.attempt)
    }
}

/// One message of the topic `T`, decoded on demand by the topic's formats.
pub struct Record<T: ?Sized> {
    raw: Arc<RawRecord>,
    attempt: u32,
    schemas: Schemas,
    topic: PhantomData<fn() -> Box<T>>,
}

impl<T: Topic> Record<T> {
    pub(crate) fn new(raw: Arc<RawRecord>, attempt: u32, schemas: Schemas) -> Self {
        Self { raw, attempt, schemas, topic: PhantomData }
    }

    /// The decoded key.
    ///
    /// # Errors
    /// The key is null, or not what the topic's key format expects.
    pub fn key(&self) -> Result<T::Key, DecodeError>
    where
        T::KeyFormat: Decode<T::Key>,
    {
        let bytes = self.raw.key.as_deref().ok_or_else(|| DecodeError::new("the message has no key"))?;
        <T::KeyFormat as Decode<T::Key>>::decode_with(bytes, &self.schemas.key)
            .map_err(|e| DecodeError::caused_by(format!("key: {e}"), e))
    }

    /// The decoded value.
    ///
    /// # Errors
    /// The message is a tombstone (see [`value_opt`](Self::value_opt)), or its value is not what the topic's
    /// value format expects.
    pub fn value(&self) -> Result<T::Value, DecodeError>
    where
        T::ValueFormat: Decode<T::Value>,
    {
        self.value_opt()?.ok_or_else(|| {
            DecodeError::new("the message is a tombstone: it has no value; `value_opt()` gives None for these")
        })
    }

    /// The decoded value, or `None` for a tombstone.
    ///
    /// # Errors
    /// The value is not what the topic's value format expects.
    pub fn value_opt(&self) -> Result<Option<T::Value>, DecodeError>
    where
        T::ValueFormat: Decode<T::Value>,
    {
        self.raw
            .value
            .as_deref()
            .map(|bytes| {
                <T::ValueFormat as Decode<T::Value>>::decode_with(bytes, &self.schemas.value)
                    .map_err(|e| DecodeError::caused_by(format!("value: {e}"), e))
            })
            .transpose()
    }

    /// What the value is read by, where its format needs more than its bytes.
    pub(crate) fn value_schema(&self) -> &PartSchema {
        &self.schemas.value
    }

    /// Whether the message has no value.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.raw.value.is_none()
    }

    /// The key's bytes.
    #[must_use]
    pub fn raw_key(&self) -> Option<&[u8]> {
        self.raw.key.as_deref()
    }

    /// The value's bytes.
    #[must_use]
    pub fn raw_value(&self) -> Option<&[u8]> {
        self.raw.value.as_deref()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.raw.headers
    }

    /// The topic it was read from.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.raw.topic
    }

    /// The partition it was read from.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.raw.partition
    }

    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.raw.offset
    }

    /// When it was produced or appended, as the topic is configured.
    #[must_use]
    pub fn timestamp(&self) -> Option<DateTime<Utc>> {
        self.raw.timestamp_ms.and_then(DateTime::from_timestamp_millis)
    }

    /// Which attempt this is: 0 for the first, 1 for the first retry, …
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Where the message was first read.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.raw.origin()
    }
}

impl<T: Topic> std::fmt::Debug for Record<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("topic", &T::DECLARATION.type_name).field("raw", &self.raw).finish()
    }
}
