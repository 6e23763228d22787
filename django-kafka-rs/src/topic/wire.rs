//! Formats that need more than a message's bytes: Avro's need the schema that the bytes name.

#[cfg(feature = "avro")]
use std::sync::Arc;

#[cfg(feature = "avro")]
use crate::error::DecodeError;
#[cfg(feature = "avro")]
use crate::format::avro::{Plain, Schema};

/// What stands before a key or value.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Nothing: the bytes are the format's own.
    Own,
    /// The id of its Avro schema. With the schema that the topic declares, where it does.
    Avro(Option<&'static str>),
    /// Each message says by its first byte: the id of its Avro schema, or nothing before JSON.
    Detected,
}

/// The schema that a message's key or value is read by.
#[doc(hidden)]
#[derive(Debug, Clone, Default)]
pub struct PartSchema(
    /// `None`: it needs none. An error is the message's own.
    #[cfg(feature = "avro")]
    pub(crate) Option<Result<Arc<Schema>, Arc<str>>>,
);

#[cfg(feature = "avro")]
impl PartSchema {
    pub(crate) fn get(&self) -> Result<&Schema, DecodeError> {
        match &self.0 {
            Some(Ok(schema)) => Ok(schema),
            Some(Err(why)) => Err(DecodeError::new(&**why)),
            None => Err(DecodeError::new(NO_REGISTRY)),
        }
    }
}

/// Who knows the schemas of Avro messages.
pub(crate) trait SchemaSource: Send + Sync {
    /// How messages with this id are read, by the declared schema where there is one. May block.
    ///
    /// # Errors
    /// There is no such schema, or nobody who knows it can be asked.
    #[cfg(feature = "avro")]
    fn reading(&self, id: u32, declared: Option<&'static str>) -> Result<Arc<Schema>, crate::error::ConsumeError>;
}

/// What is to be done where nobody knows schemas.
#[cfg(feature = "avro")]
const NO_REGISTRY: &str = "Avro needs a schema registry: set `schema_registry.url` in the settings";

/// Nobody.
pub(crate) struct NoSchemas;

impl SchemaSource for NoSchemas {
    #[cfg(feature = "avro")]
    fn reading(&self, _: u32, _: Option<&'static str>) -> Result<Arc<Schema>, crate::error::ConsumeError> {
        Err(DecodeError::new(NO_REGISTRY).into())
    }
}

/// Schemas by their ids, for measuring and trying things out without a registry.
#[doc(hidden)]
#[cfg(feature = "avro")]
#[derive(Debug, Default)]
pub struct KnownSchemas(std::collections::HashMap<u32, Arc<Schema>>);

#[cfg(feature = "avro")]
impl KnownSchemas {
    /// The same with one more.
    ///
    /// # Errors
    /// The text is no schema.
    pub fn with(mut self, id: u32, text: &str) -> Result<Self, String> {
        self.0.insert(id, Arc::new(Schema::parse(text, &[])?));
        Ok(self)
    }

    /// What a key or value is read by.
    #[must_use]
    pub fn part(&self, id: u32) -> PartSchema {
        PartSchema(self.0.get(&id).cloned().map(Ok))
    }
}

#[cfg(feature = "avro")]
impl SchemaSource for KnownSchemas {
    fn reading(&self, id: u32, _: Option<&'static str>) -> Result<Arc<Schema>, crate::error::ConsumeError> {
        self.0.get(&id).cloned().ok_or_else(|| DecodeError::new(format!("there is no schema {id}")).into())
    }
}

/// The schemas of a message.
#[doc(hidden)]
#[derive(Debug, Clone, Default)]
pub struct Schemas {
    pub(crate) key: PartSchema,
    pub(crate) value: PartSchema,
}

/// A key or value on its way out.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Encoded(pub(crate) Content);

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    /// Written when it is sent: the registry may have to be asked.
    #[cfg(feature = "avro")]
    Avro {
        plain: Plain,
        declared: Option<&'static str>,
    },
}

impl Encoded {
    pub(crate) fn bytes(bytes: Vec<u8>) -> Self {
        Self(Content::Bytes(bytes))
    }

    #[cfg(feature = "avro")]
    pub(crate) fn avro(plain: Plain, declared: Option<&'static str>) -> Self {
        Self(Content::Avro { plain, declared })
    }
}
