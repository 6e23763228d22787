//! In place of the schema registry, where the build has no Avro: none can be made.

use super::SchemaError;
use crate::error::ConsumeError;
use crate::meters::Meters;
use crate::record::RawRecord;
use crate::settings::SchemaRegistrySettings;
use crate::topic::{SchemaSource, Schemas, TopicDeclaration};

/// There is none.
#[derive(Debug, Clone)]
pub(crate) enum SchemaRegistry {}

impl SchemaRegistry {
    /// # Errors
    /// The settings name one.
    pub(crate) fn of_settings(settings: &SchemaRegistrySettings) -> Result<Option<Self>, String> {
        if settings.urls.is_empty() {
            return Ok(None);
        }
        Err("`schema_registry` needs the feature `avro` of `django-kafka-rs`, which this build does not have"
            .to_owned())
    }

    pub(crate) fn counting(&self, _: &Meters) {
        match *self {}
    }

    pub(crate) fn address(&self) -> &str {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as the registry has it")]
    pub(crate) async fn of_message(&self, _: &TopicDeclaration, _: &RawRecord) -> Result<Schemas, ConsumeError> {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as the registry has it")]
    pub(crate) async fn check(&self, _: &str, _: &TopicDeclaration) -> Result<(), SchemaError> {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as the registry has it")]
    pub(crate) async fn reach(&self) -> Result<(), SchemaError> {
        match *self {}
    }
}

impl SchemaSource for SchemaRegistry {}

/// There is none.
#[derive(Debug)]
pub(crate) enum EmbeddedRegistry {}

impl EmbeddedRegistry {
    pub(crate) fn url(&self) -> &str {
        match *self {}
    }
}
