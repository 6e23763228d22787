//! The application: what is declared, what it is given, and how it is started.

mod check;
mod client_config;
#[cfg(feature = "connect")]
mod connect;
mod derived;
mod dlq;
mod error;
mod handle;
mod parts;
mod poll_thread;
mod relating;
mod run;
mod schemas;
mod services;
mod session;
#[cfg(feature = "temporal")]
mod temporal;
mod tracking;
mod waiting;

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::Arc;

use diesel_migrations::EmbeddedMigrations;

pub use self::error::{RunError, StartError};
pub use self::handle::{Handle, Summary};
pub(crate) use self::parts::{ConsumeOptions, Making, Parts};
pub(crate) use self::relating::Replacements;
pub use self::run::run;
pub(crate) use self::services::{Services, reach_broker};

use crate::connect::Connector;
use crate::consumer::Consumer;
use crate::context::States;
use crate::kafka::{ClientError, ErrorHandler};
use crate::registry::Registry;
use crate::relations::{MessageProcessor, RelationResolver, ResolverDaemon};
use crate::settings::SettingsSource;
use crate::topic::{CustomTopic, Topic, TopicConsumer, custom_topic_of};

/// An application: consumers and topics, and what they need.
///
/// ```no_run
/// # use django_kafka_rs::App;
/// # struct Prices;
/// fn main() -> std::process::ExitCode {
///     App::from_linked().state(Prices).run()
/// }
/// ```
#[must_use = "an application does nothing before `run` or `start`"]
#[derive(Default)]
pub struct App {
    pub(crate) registry: Registry,
    pub(crate) settings: SettingsSource,
    pub(crate) embedded: bool,
    pub(crate) states: States,
    pub(crate) migrations: Option<EmbeddedMigrations>,
    pub(crate) error_handler: Option<ErrorHandler>,
    pub(crate) topics: HashMap<TypeId, Arc<dyn CustomTopic>>,
    pub(crate) replacements: Replacements,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("registry", &self.registry)
            .field("embedded", &self.embedded)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Everything that `#[topic]`, `#[consumer]` and `#[connector]` declare in this program and the crates it names.
    pub fn from_linked() -> Self {
        Self { registry: Registry::from_linked(), ..Self::default() }
    }

    /// An empty application, to be given its consumers by hand.
    pub fn builder() -> Self {
        Self::default()
    }

    /// Adds a consumer, or enables the [key offset tracker](crate::key_offset_tracker).
    #[expect(clippy::needless_pass_by_value, reason = "consumers are unit structs; a builder takes its parts")]
    pub fn consumer<C: Consumer>(mut self, consumer: C) -> Self {
        match consumer.__tracker_group() {
            Some(group) => self.registry.tracker_group = Some(group.to_owned()),
            None => self.registry.consumers.push(C::DECLARATION),
        }
        self
    }

    /// Adds a connector of Kafka Connect, for the command `connect`.
    pub fn connector<C: Connector>(mut self, _connector: C) -> Self {
        self.registry.connectors.push(C::DECLARATION);
        self
    }

    /// Gives a topic's value, for topics that are no unit structs and have no `Default`.
    pub fn topic<T: TopicConsumer>(mut self, topic: T) -> Self {
        self = self.declare::<T>();
        self.topics.insert(TypeId::of::<T>(), custom_topic_of(topic));
        self
    }

    /// Adds a topic that is only produced to, so that start-up checks its name and `topics` lists it.
    pub fn declare<T: Topic>(mut self) -> Self {
        let declared = T::DECLARATION;
        // The topic of a reproducer is its consumer's, and has its name from the settings.
        if declared.reproduces.is_none()
            && !self.registry.topics.iter().any(|known| known.location == declared.location)
        {
            self.registry.topics.push(declared);
        }
        self
    }

    /// Where the settings come from: a `Settings` value, or the path of a file. Else `--settings`, the environment
    /// variable `DJANGO_KAFKA_SETTINGS`, or `django-kafka.toml` in the working directory.
    pub fn settings(mut self, settings: impl Into<SettingsSource>) -> Self {
        self.settings = settings.into();
        self
    }

    /// Runs a broker inside the program, and SQLite where the settings name no database: as `--embedded`.
    pub fn embedded(mut self) -> Self {
        self.embedded = true;
        self
    }

    /// State for handlers, by its type: `cx.state::<T>()`.
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// The migrations of the application's own tables. They are run by `migrate`, in embedded mode and in tests.
    pub fn migrations(mut self, migrations: EmbeddedMigrations) -> Self {
        self.migrations = Some(migrations);
        self
    }

    /// Called for each error of a Kafka client as a whole (brokers away, authentication refused), beside the log.
    pub fn error_handler(mut self, handler: impl Fn(&ClientError) + Send + Sync + 'static) -> Self {
        self.error_handler = Some(Arc::new(handler));
        self
    }

    /// What says which rows exist, in the place of the tables themselves.
    pub fn relation_resolver(mut self, resolver: impl RelationResolver) -> Self {
        self.replacements.resolver = Some(Arc::new(resolver));
        self
    }

    /// Where messages wait for the rows that they refer to, in the place of `django_kafka_waiting_message`.
    pub fn message_processor(mut self, processor: impl MessageProcessor) -> Self {
        self.replacements.processor = Some(Arc::new(processor));
        self
    }

    /// Who has waiting messages handled, in the place of what the setting `relation_resolver_daemon` names.
    pub fn resolver_daemon(mut self, daemon: impl ResolverDaemon) -> Self {
        self.replacements.daemon = Some(Arc::new(daemon));
        self
    }

    /// Starts all consumers and returns a handle, for programs that have a `main` of their own.
    ///
    /// # Errors
    /// What is wrong with the settings or the declarations (all of it), or what cannot be reached.
    pub async fn start(self) -> Result<Handle, StartError> {
        Parts::load(self, None)?.start(ConsumeOptions::default()).await
    }
}
