//! What `#[consumer]` says, as constants.

use crate::const_text::{Text, equal};
use crate::topic::names::check_derived_names;
use crate::topic::{ConsumedTopic, HandlerSource, Location, RetryMode, TopicDeclaration};

/// A declared consumer. Written by `#[consumer(…)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a consumer",
    note = "write `#[consumer(group = \"…\", topics(…))]` above `struct {Self};`"
)]
pub trait Consumer: Send + Sync + 'static {
    /// What was declared.
    const DECLARATION: ConsumerDeclaration;

    /// The key offset tracker's group, which is given when the program runs. Nobody else's.
    #[doc(hidden)]
    fn __tracker_group(&self) -> Option<&str> {
        None
    }
}

/// A consumer as declared.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ConsumerDeclaration {
    /// The Rust type's name; `consume NAME` takes it.
    pub type_name: &'static str,
    /// The group as written, with `${variables}`.
    pub group: &'static str,
    /// Its topics.
    pub topics: &'static [TopicEntry],
    /// `config(…)`: librdkafka properties.
    pub config: &'static [(&'static str, ConfigValue)],
    /// `batch(…)`.
    pub batch: BatchSettings,
    /// `workers`: transactions at the same time. `None`: the setting.
    pub workers: Option<u32>,
    /// `offsets`.
    pub offsets: OffsetStore,
    /// `suppress`: what is not produced while its messages are handled.
    pub suppress: SuppressedTopics,
    /// Where.
    pub location: Location,
}

impl ConsumerDeclaration {
    /// A consumer with defaults.
    #[must_use]
    pub const fn new(
        type_name: &'static str,
        group: &'static str,
        topics: &'static [TopicEntry],
        location: Location,
    ) -> Self {
        Self {
            type_name,
            group,
            topics,
            config: &[],
            batch: BatchSettings::NONE,
            workers: None,
            offsets: OffsetStore::Kafka,
            suppress: SuppressedTopics::None,
            location,
        }
    }

    /// Sets `config(…)`.
    #[must_use]
    pub const fn config(mut self, config: &'static [(&'static str, ConfigValue)]) -> Self {
        self.config = config;
        self
    }

    /// Sets `batch(…)`.
    #[must_use]
    pub const fn batch(mut self, batch: BatchSettings) -> Self {
        self.batch = batch;
        self
    }

    /// Sets `offsets`.
    #[must_use]
    pub const fn offsets(mut self, offsets: OffsetStore) -> Self {
        self.offsets = offsets;
        self
    }

    /// Sets `workers`.
    #[must_use]
    pub const fn workers(mut self, workers: u32) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets `suppress`.
    #[must_use]
    pub const fn suppress(mut self, suppress: SuppressedTopics) -> Self {
        self.suppress = suppress;
        self
    }
}

/// `batch(max = N, bytes = N, linger = "5ms")`; `None`: the setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// Messages in a transaction at most.
    pub max: Option<u32>,
    /// Bytes of messages in a transaction at most.
    pub bytes_max: Option<u64>,
    /// How long to wait for more while nothing else is under way. Milliseconds.
    pub linger_ms: Option<u64>,
}

impl BatchSettings {
    /// Nothing said.
    pub const NONE: Self = Self { max: None, bytes_max: None, linger_ms: None };
}

/// `offsets = "kafka"|"database"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetStore {
    /// In Kafka: at least once.
    Kafka,
    /// In the database, in the transaction of the batch's rows: effects there happen exactly once.
    Database,
}

/// `suppress` or `suppress("topic", …)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuppressedTopics {
    /// Nothing is suppressed.
    None,
    /// All topics are.
    All,
    /// The topics of these names are, as written, with `${variables}`.
    Named(&'static [&'static str]),
}

/// The value of one librdkafka property.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ConfigValue {
    /// A string literal.
    Str(&'static str),
    /// An integer literal.
    Int(i64),
    /// A float literal.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `env("VAR")`: read at start.
    Env(&'static str),
    /// `setting("key")`: read from the settings file at start; a dotted path.
    Setting(&'static str),
}

/// A topic in `topics(…)`.
#[derive(Debug, Clone, Copy)]
pub struct TopicEntry {
    /// The topic as declared.
    pub declaration: TopicDeclaration,
    /// How it is handled.
    #[doc(hidden)]
    pub handler: fn() -> HandlerSource,
    /// The type's identity, to find values given through the builder.
    #[doc(hidden)]
    pub type_id: fn() -> std::any::TypeId,
}

impl TopicEntry {
    /// The topic `T`.
    #[must_use]
    pub const fn of<T: ConsumedTopic>() -> Self {
        Self { declaration: T::DECLARATION, handler: T::__handler, type_id: std::any::TypeId::of::<T> }
    }
}

/// Checks one topic of a consumer, while the program is compiled: that no topic before it has its name, and that
/// the retry and dead letter topics named after group and topic fit into Kafka's limit.
///
/// # Panics
/// One of them is not so. In a constant this is a compile error with the panic's text.
#[doc(hidden)]
#[track_caller]
pub const fn check_consumer_topic(consumer: &ConsumerDeclaration, index: usize) {
    let topic = &consumer.topics[index].declaration;
    let mut earlier = 0;
    while earlier < index {
        let other = &consumer.topics[earlier].declaration;
        if equal(topic.name, other.name) {
            panic_same_name(topic, other);
        }
        earlier += 1;
    }
    let retry_topics = match &topic.retry {
        Some(retry) if matches!(retry.mode, RetryMode::NonBlocking) && retry.max_retries > 0 => {
            retry.max_retries.unsigned_abs()
        }
        _ => 0,
    };
    check_derived_names(consumer.group, topic.name, retry_topics);
}

#[track_caller]
const fn panic_same_name(topic: &TopicDeclaration, other: &TopicDeclaration) -> ! {
    let same_place = topic.location.line == other.location.line && equal(topic.location.file, other.location.file);
    let text = if same_place && equal(topic.type_name, other.type_name) {
        Text::of(&["`", topic.type_name, "` is given twice, under two names\n= help: take one out of `topics(…)`"])
    } else {
        Text::of(&[
            "`",
            topic.type_name,
            "` and `",
            other.type_name,
            "` are both the topic `",
            topic.name,
            "`, and a message has one handler in a consumer\n= help: take one out of `topics(…)`, or give it a consumer \
             of its own",
        ])
    };
    panic!("{}", text.as_str())
}
