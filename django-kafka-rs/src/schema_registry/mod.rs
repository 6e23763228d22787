//! Schemas from a registry: those that messages were written with, and those that ours are written with.
//!
//! What was answered is kept for ever: an id means the same schema always. What was not is asked again.

#[cfg(not(feature = "avro"))]
mod absent;
#[cfg(feature = "avro")]
mod client;
#[cfg(feature = "avro")]
mod compatibility;
#[cfg(feature = "avro")]
mod embedded;
#[cfg(feature = "avro")]
mod registry;
#[cfg(all(test, feature = "avro"))]
mod tests;
#[cfg(feature = "avro")]
mod tls;

#[cfg(not(feature = "avro"))]
pub(crate) use self::absent::{EmbeddedRegistry, SchemaRegistry};
#[cfg(feature = "avro")]
pub(crate) use self::embedded::EmbeddedRegistry;
#[cfg(feature = "avro")]
pub(crate) use self::registry::SchemaRegistry;

use crate::error::{ConsumeError, DecodeError, ProduceError, RegistryAway};

/// Why there is no schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SchemaError {
    /// The registry has answered: the message, or the schema that it names, is at fault.
    Wrong(String),
    /// The registry is away, or does not let us in. No message is at fault.
    Away(String),
}

impl SchemaError {
    /// The same with what it is about before it.
    pub(crate) fn in_context(self, what: &str) -> Self {
        match self {
            Self::Wrong(why) => Self::Wrong(format!("{what}: {why}")),
            Self::Away(why) => Self::Away(format!("{what}: {why}")),
        }
    }
}

impl std::fmt::Display for SchemaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wrong(why) | Self::Away(why) => f.write_str(why),
        }
    }
}

/// A part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Key,
    Value,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl Part {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
        }
    }

    /// The subject by `TopicNameStrategy`.
    pub(crate) fn subject(self, topic: &str) -> String {
        match self {
            Self::Key => format!("{topic}-key"),
            Self::Value => format!("{topic}-value"),
        }
    }
}

/// A message's own fault, or an outage.
impl From<SchemaError> for ConsumeError {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Wrong(why) => DecodeError::new(why).into(),
            SchemaError::Away(why) => RegistryAway(why).into(),
        }
    }
}

/// A value that does not fit, or an outage.
impl From<SchemaError> for ProduceError {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Wrong(why) => Self::new(why),
            SchemaError::Away(why) => Self::new(why).outage(),
        }
    }
}
