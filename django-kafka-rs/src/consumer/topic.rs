//! Topics ready to run: names resolved, handlers made.

use std::collections::HashMap;
use std::sync::Arc;

use crate::key_offset_tracker::{Tracker, Watermarks};
use crate::producer::Suppression;
use crate::relations::Related;
use crate::schema_registry::SchemaRegistry;
use crate::sync::{ModelSync, Stage};
use crate::topic::names::retry_pattern;
use crate::topic::{CustomTopic, RetryMode, RetrySettings};

/// A topic of a consumer, ready to run.
pub(crate) struct TopicRuntime {
    /// The Rust type's name.
    pub(crate) type_name: &'static str,
    /// The name or the pattern, with its variables filled in.
    pub(crate) name: String,
    /// Its own retry settings, or the setting's.
    pub(crate) retry: Option<RetrySettings>,
    /// What its consumer does not produce while it is handled.
    pub(crate) suppression: Suppression,
    /// Tells failed messages that a newer one has superseded, where the retry settings ask for that.
    pub(crate) tracker: Option<Tracker>,
    /// What its handler's messages have to do with rows that they refer to.
    pub(crate) related: Option<Related>,
    pub(crate) handler: Handler,
}

impl TopicRuntime {
    /// Whether its failed messages go to retry topics.
    pub(crate) fn has_retry_topics(&self) -> bool {
        self.retry.is_some_and(|retry| retry.mode == RetryMode::NonBlocking && retry.max_retries > 0)
    }
}

/// Who handles a topic's messages.
pub(crate) enum Handler {
    /// The user's code.
    Custom(Arc<dyn CustomTopic>),
    /// Models kept in step.
    Models(Box<ModelSync>),
    /// The key offset tracker, which asks where partitions end.
    KeyOffsets(Arc<Watermarks>),
}

impl Handler {
    /// Whether messages are decoded by themselves, before they are handled.
    pub(crate) fn decodes_apart(&self) -> bool {
        matches!(self, Self::Models(_))
    }

    /// What its batches go through.
    pub(crate) fn stages(&self) -> &'static [Stage] {
        match self {
            Self::Models(_) => &Stage::OF_MODELS,
            Self::Custom(_) | Self::KeyOffsets(_) => &Stage::OF_HANDLERS,
        }
    }

    /// The same with the registry, for messages of Avro.
    pub(crate) fn with_schemas(self, schemas: Option<&SchemaRegistry>) -> Self {
        match (self, schemas) {
            #[cfg(feature = "avro")]
            (Self::Models(sync), Some(schemas)) => Self::Models(Box::new(sync.with_schemas(schemas.clone()))),
            (handler, _) => handler,
        }
    }
}

/// A consumer's topics, found by the name of a message's topic.
pub(crate) struct TopicTable {
    exact: HashMap<String, Arc<TopicRuntime>>,
    patterns: Vec<(regex::Regex, Arc<TopicRuntime>)>,
}

impl TopicTable {
    /// Start-up has checked the patterns already; one that does not compile here matches nothing.
    pub(crate) fn new(topics: impl IntoIterator<Item = TopicRuntime>) -> Self {
        let mut table = Self { exact: HashMap::new(), patterns: Vec::new() };
        for topic in topics {
            let topic = Arc::new(topic);
            if !topic.name.starts_with('^') {
                table.exact.insert(topic.name.clone(), topic);
            } else if let Ok(pattern) = regex::Regex::new(&topic.name) {
                table.patterns.push((pattern, topic));
            }
        }
        table
    }

    /// What the client subscribes to.
    pub(crate) fn subscription(&self) -> Vec<String> {
        self.iter().map(|topic| topic.name.clone()).collect()
    }

    /// What the consumer of their retry topics subscribes to; nothing where no topic has any.
    pub(crate) fn retry_subscription(&self, group: &str, retry_suffix: &str) -> Vec<String> {
        self.iter()
            .filter(|topic| topic.has_retry_topics())
            .map(|topic| retry_pattern(group, &topic.name, retry_suffix))
            .collect()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<TopicRuntime>> {
        self.exact.values().chain(self.patterns.iter().map(|(_, topic)| topic))
    }

    /// Whether messages of these topics may wait for rows.
    pub(crate) fn may_wait(&self) -> bool {
        self.iter().any(|topic| match &topic.handler {
            Handler::Custom(_) => true,
            Handler::Models(sync) => sync.may_wait(),
            Handler::KeyOffsets(_) => false,
        })
    }

    /// Whether any topic is a pattern.
    pub(crate) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Who handles messages of this topic: an exact name beats a pattern.
    pub(crate) fn find(&self, topic: &str) -> Option<&Arc<TopicRuntime>> {
        self.exact
            .get(topic)
            .or_else(|| self.patterns.iter().find(|(pattern, _)| pattern.is_match(topic)).map(|(_, topic)| topic))
    }
}
