//! What the functions named in `#[sync(…)]` see of a message.

use serde::de::DeserializeOwned;

use super::decode::Body;
use crate::error::DecodeError;
use crate::record::{Headers, RawRecord};

/// What happened to a row, for `after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// The row was inserted or updated.
    Upserted,
    /// The row was deleted, or was not there.
    Deleted,
}

/// One message, for `compute`, `is_deletion`, `lookup_with`, `relations_with` and `after`.
///
/// Key and value are given without their wrapping: the payload of `{"schema", "payload"}`, and the row of
/// Debezium's envelope (`after`, or `before` for a deletion).
#[derive(Debug, Clone, Copy)]
pub struct SyncContext<'a> {
    raw: &'a RawRecord,
    key: Option<Body<'a>>,
    value: Option<Body<'a>>,
}

impl<'a> SyncContext<'a> {
    pub(crate) fn new(raw: &'a RawRecord, key: Option<Body<'a>>, value: Option<Body<'a>>) -> Self {
        Self { raw, key, value }
    }

    /// The key as a `T`.
    ///
    /// # Errors
    /// There is no key, or it is not a `T`.
    pub fn key<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        read("key", self.key)
    }

    /// The value (the row) as a `T`.
    ///
    /// # Errors
    /// There is no value, or it is not a `T`.
    pub fn value<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        read("value", self.value)
    }

    /// Whether there is a value.
    #[must_use]
    pub fn has_value(&self) -> bool {
        self.value.is_some()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &'a Headers {
        &self.raw.headers
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        &self.raw.topic
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.raw.partition
    }

    /// The offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.raw.offset
    }
}

fn read<T: DeserializeOwned>(what: &str, body: Option<Body<'_>>) -> Result<T, DecodeError> {
    let body = body.ok_or_else(|| DecodeError::new(format!("the message has no {what}")))?;
    body.read().map_err(|e| DecodeError::caused_by(format!("{what}: {e}"), e))
}
