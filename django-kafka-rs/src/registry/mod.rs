//! What is declared. The registry is a value; linkme's slice is one source of it, the builder another.

#[cfg(feature = "client")]
mod resolve;
#[cfg(feature = "client")]
mod tracker;

#[cfg(feature = "client")]
pub(crate) use self::resolve::{ResolvedConsumer, ResolvedTopic, resolve};

use crate::connect::ConnectorDeclaration;
#[cfg(feature = "client")]
use crate::connect::ConnectorValue;
use crate::consumer::ConsumerDeclaration;
use crate::sync::ModelDescriptor;
use crate::topic::TopicDeclaration;

/// One declaration, as the macros register it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Declaration {
    /// `#[topic]`.
    Topic(&'static TopicDeclaration),
    /// `#[consumer]`.
    Consumer(&'static ConsumerDeclaration),
    /// `#[connector]`.
    Connector(&'static ConnectorDeclaration),
    /// `#[derive(SyncModel)]` and the derives that include it.
    Model(&'static ModelDescriptor),
}

/// Everything that is linked into the program.
#[doc(hidden)]
#[linkme::distributed_slice]
pub static DECLARATIONS: [Declaration];

/// What an application consists of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    /// Declared topics, whether a consumer takes them or not.
    pub(crate) topics: Vec<TopicDeclaration>,
    /// Consumers.
    pub(crate) consumers: Vec<ConsumerDeclaration>,
    /// Models, whether a topic writes them or not.
    pub(crate) models: Vec<&'static ModelDescriptor>,
    /// Connectors.
    pub(crate) connectors: Vec<ConnectorDeclaration>,
    /// The key offset tracker's group, where the program enables it.
    pub(crate) tracker_group: Option<String>,
}

impl Registry {
    /// The settings that declarations read with `setting("…")`.
    #[cfg(feature = "client")]
    pub(crate) fn referenced_settings(&self) -> Vec<String> {
        let consumers = self.consumers.iter().flat_map(|consumer| consumer.config).map(|(_, value)| (*value).into());
        // What is wrong with a configuration is said where it is asked for.
        let connectors = self.connectors.iter().filter_map(|connector| connector.configuration().ok());
        let connectors: Vec<ConnectorValue> =
            connectors.flat_map(|config| config.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>()).collect();
        consumers
            .chain(connectors)
            .filter_map(|value| match value {
                ConnectorValue::Setting(path) => Some(path),
                _ => None,
            })
            .collect()
    }

    /// Everything that is linked into the program, in the order of its places in the source: the linker's own
    /// order means nothing to anyone.
    pub(crate) fn from_linked() -> Self {
        let mut registry = Self::default();
        for declaration in DECLARATIONS {
            match declaration {
                Declaration::Topic(topic) => registry.topics.push(**topic),
                Declaration::Consumer(consumer) => registry.consumers.push(**consumer),
                Declaration::Connector(connector) => registry.connectors.push(**connector),
                Declaration::Model(model) => registry.models.push(model),
            }
        }
        registry.topics.sort_by_key(|topic| (topic.location.file, topic.location.line));
        registry.consumers.sort_by_key(|consumer| (consumer.location.file, consumer.location.line));
        registry.connectors.sort_by_key(|connector| (connector.location.file, connector.location.line));
        registry
    }
}
