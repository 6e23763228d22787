//! From declarations to running consumers.

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel_migrations::EmbeddedMigrations;
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer as _;
use rdkafka::metadata::Metadata;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::client_config::{consumer_config, silence_max};
use super::handle::{Handle, HandleParts, Running};
use super::poll_thread::PollThread;
use super::relating::{Replacements, RunningDaemon, Shared};
use super::services::{Services, reach_broker};
use super::session::Session;
use super::tracking::Tracking;
use super::{App, StartError, schemas};
use crate::clock::Clock;
use crate::consumer::OffsetStore;
use crate::consumer::engine::{Engine, EngineConfig, StopPolling, Wiring};
use crate::consumer::event::Event;
use crate::consumer::fence::Fence;
use crate::consumer::lane::LaneLimits;
use crate::consumer::ledger::{self, Ledger, Reset};
use crate::consumer::poll::{KafkaConsumer, PollContext, Starts};
use crate::consumer::progress::Progress;
use crate::consumer::topic::{Handler, TopicRuntime, TopicTable};
use crate::context::{Context, States};
use crate::db::{Database, migrations};
use crate::kafka::{ClientEvents, ErrorHandler};
use crate::meters::{ConsumerMeters, Endpoint, Observed, Observer, Watched, catalog};
use crate::registry::{Registry, ResolvedConsumer, resolve};
use crate::relations::{Related, Relations};
use crate::schema_registry::SchemaRegistry;
use crate::settings::{LoadOptions, Settings, SettingsSource};
use crate::sync::ModelSync;
use crate::sync::guard::Guard;
use crate::topic::names;
use crate::topic::{CustomTopic, HandlerSource};
use crate::topic_admin::{Kind, TopicAdmin, Wanted, retry_retention};

/// Events that wait for the engine at most; then the poll thread waits.
const EVENTS_MAX: usize = 256;

/// Which consumers, and until when.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsumeOptions {
    /// By their types' names; empty: all.
    pub(crate) names: Vec<String>,
    /// End when every partition's end is handled.
    pub(crate) until_end: bool,
    /// The process is the application's: what its own code counts is shown with the rest.
    pub(crate) owns_process: bool,
}

/// The broker, as it answered at the start.
struct Reached {
    asking: ClientConfig,
    metadata: Metadata,
}

/// An application whose settings are loaded.
pub(crate) struct Parts {
    pub(crate) registry: Registry,
    pub(crate) settings: Settings,
    states: States,
    migrations: Option<EmbeddedMigrations>,
    error_handler: Option<ErrorHandler>,
    /// The topics' values: given by the application, or made when first needed. All consumers share them.
    topics: HashMap<TypeId, Arc<dyn CustomTopic>>,
    pub(super) replacements: Replacements,
}

impl Parts {
    /// Loads the settings; `path` is the command line's.
    pub(crate) fn load(app: App, path: Option<PathBuf>) -> Result<Self, StartError> {
        let App { registry, settings, embedded, states, migrations, error_handler, topics, replacements } = app;
        let referenced = registry.referenced_settings();
        let mut settings = settings.resolve(LoadOptions { path, referenced, ..LoadOptions::of_process() })?;
        settings.embedded.enabled |= embedded;
        Ok(Self { registry, settings, states, migrations, error_handler, topics, replacements })
    }

    /// For tests: settings that were given, or the defaults; neither a file nor the environment changes a test.
    #[cfg(feature = "testing")]
    pub(crate) fn load_for_tests(mut app: App) -> Result<Self, StartError> {
        if let SettingsSource::Search = app.settings {
            app.settings = Settings::default().into();
        }
        Self::load(app.embedded(), None)
    }

    /// The consumers of these names, with their names resolved.
    pub(crate) fn resolve(&self, names: &[String]) -> Result<Vec<ResolvedConsumer>, StartError> {
        let consumers = resolve(&self.registry, &self.settings);
        let connectors = crate::connect::resolve::resolve(&self.registry.connectors, &self.settings);
        let consumers = match (consumers, connectors) {
            (Ok(consumers), Ok(_)) => consumers,
            (consumers, connectors) => {
                let mistakes = consumers.err().into_iter().chain(connectors.err()).flatten().collect();
                return Err(StartError::Declarations(mistakes));
            }
        };
        if names.is_empty() {
            return Ok(consumers);
        }
        let known: Vec<&str> = consumers.iter().map(|consumer| consumer.declaration.type_name).collect();
        if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(StartError::UnknownConsumer(format!(
                "there is no consumer `{unknown}`; there are: {}",
                known.join(", ")
            )));
        }
        Ok(consumers
            .into_iter()
            .filter(|consumer| names.iter().any(|name| name == consumer.declaration.type_name))
            .collect())
    }

    /// Runs pending migrations, ours and the application's; gives their names.
    pub(crate) fn migrate(&self, database: &Database) -> Result<Vec<String>, StartError> {
        migrations::run(database, self.migrations.as_ref()).map_err(|e| StartError::Database(e.to_string()))
    }

    /// Migrations that have not been run.
    pub(crate) fn pending_migrations(&self, database: &Database) -> Result<Vec<String>, StartError> {
        migrations::pending(database, self.migrations.as_ref()).map_err(|e| StartError::Database(e.to_string()))
    }

    /// The application's state, for whoever runs its handlers.
    pub(super) fn take_states(&mut self) -> States {
        std::mem::take(&mut self.states)
    }

    /// Starts the consumers.
    pub(crate) async fn start(mut self, options: ConsumeOptions) -> Result<Handle, StartError> {
        let consumers = self.resolve(&options.names)?;
        let services = Services::start(std::mem::take(&mut self.settings))?;
        tokio::task::spawn_blocking(move || self.start_blocking(&consumers, services, &options))
            .await
            .map_err(|e| StartError::System(format!("start-up ended by a fault of ours: {e}")))?
    }

    fn start_blocking(
        mut self,
        consumers: &[ResolvedConsumer],
        services: Services,
        options: &ConsumeOptions,
    ) -> Result<Handle, StartError> {
        let endpoint = Endpoint::start(&services.settings.metrics, options.owns_process).map_err(StartError::System)?;
        let meters = endpoint.meters();
        let daemon = self.daemon(&services.settings)?;
        let asking = services.asking_config()?;
        let metadata = reach_broker(&asking).map_err(StartError::Broker)?;
        let broker = Reached { asking, metadata };
        let database = services.open_database()?;
        if let Some(database) = &database {
            let waits = meters.histogram(&catalog::CONNECTION_WAIT, &[]);
            database.telling(move |waited| waits.record(waited));
        }
        if let (Some(database), Some(_)) = (&database, &services.embedded) {
            self.migrate(database)?;
        }
        let admin = TopicAdmin::new(broker.asking.clone(), services.embedded.clone(), services.settings.topics.clone());
        let topics: Vec<_> = self.needed_topics(&services, consumers).into_iter().collect();
        // Consumers of retry topics find them sooner when they are there.
        if let Err(reason) = tokio::runtime::Handle::current().block_on(admin.ensure(&topics)) {
            tracing::warn!("retry topics are not created yet, but before their first message: {reason}");
        }
        let kafka = services.kafka(self.error_handler.as_ref(), &meters)?;
        self.check_schemas(&services, kafka.schema_registry())?;
        let context = Context::new(kafka.clone(), database.clone(), std::mem::take(&mut self.states));
        let clock = Clock::new();
        let relations = database.as_ref().map(|database| self.relations(database)).transpose()?;
        let making = Making {
            services: &services,
            database: database.as_ref(),
            schemas: kafka.schema_registry(),
            relations,
            clock: &clock,
        };
        let tables = self.topic_tables(consumers, &making, |topic| topic)?;
        let relations = making.relations;
        let consumers: Vec<(&ResolvedConsumer, Arc<TopicTable>)> =
            consumers.iter().zip(tables.into_iter().map(Arc::new)).collect();
        let shared = Shared { services: &services, context: &context, admin: &admin, clock: &clock, meters: &meters };
        let resolver = match (&database, relations) {
            (Some(database), Some(relations)) if consumers.iter().any(|(_, topics)| topics.may_wait()) => {
                let abort = CancellationToken::new();
                let resolver = self.resolver(database, relations, &consumers, &shared, abort.clone())?;
                Some((resolver, abort))
            }
            _ => None,
        };
        let start = Start { shared: &shared, broker: &broker, options };
        let mut running: Vec<Running> = Vec::new();
        for (consumer, topics) in consumers {
            match self.start_consumer(consumer, topics, &start) {
                Ok(started) => running.extend(started),
                Err(error) => {
                    // Nobody would have a handle to those that run already.
                    for earlier in &running {
                        let _ = earlier.sender.try_send(Event::Shutdown);
                    }
                    return Err(error);
                }
            }
        }
        if resolver.is_some() && !daemon.runs_inside() {
            tracing::info!("messages that wait for rows are handled by `{}`, not here", daemon.command());
        }
        let started = resolver
            .as_ref()
            .filter(|_| daemon.runs_inside())
            .map(|(resolver, abort)| RunningDaemon::start(&*daemon, resolver, abort.clone(), options.until_end));
        let resolver = resolver.map(|(resolver, _)| resolver);
        let observed = Observed {
            consumers: running.iter().map(|running| running.watched.clone()).collect(),
            asking: broker.asking,
            producer: kafka.producer().clone(),
            database: database.clone(),
            resolver: resolver.clone(),
            clock: clock.clone(),
        };
        let observer = Observer::new(meters, observed);
        endpoint.started(&observer);
        let parts = HandleParts { services: Arc::new(services), kafka, database, clock, resolver, endpoint, observer };
        Ok(Handle::new(running, started, parts))
    }

    /// Avro needs a registry, which takes what is declared where the settings ask for that.
    fn check_schemas(&self, services: &Services, registry: Option<&SchemaRegistry>) -> Result<(), StartError> {
        let Some(registry) = registry else {
            let mistakes = schemas::without_registry(&self.registry);
            return if mistakes.is_empty() { Ok(()) } else { Err(StartError::Declarations(mistakes)) };
        };
        if services.settings.schema_registry.check_compatibility {
            let runtime = tokio::runtime::Handle::current();
            let refused = runtime.block_on(schemas::refused(&self.registry, registry, &services.settings));
            refused.map_err(StartError::SchemaRegistry)?;
        }
        Ok(())
    }

    /// The topics that are to be there before the consumers start: those of retries, and in embedded mode also the
    /// declared ones, which nobody else creates.
    fn needed_topics(&self, services: &Services, consumers: &[ResolvedConsumer]) -> Vec<Wanted> {
        let suffixes = services.settings.suffixes();
        let mut topics: Vec<Wanted> = consumers.iter().flat_map(|consumer| consumer.retry_topics(suffixes)).collect();
        if services.embedded.is_some() {
            topics.extend(self.declared_topics(&services.settings, consumers));
        }
        topics
    }

    /// The declared topics with one name.
    pub(crate) fn declared_topics(&self, settings: &Settings, consumers: &[ResolvedConsumer]) -> BTreeSet<Wanted> {
        let declared = self.registry.topics.iter().filter(|topic| !topic.is_regex());
        let names = declared.filter_map(|topic| names::substitute(topic.name, &settings.topic_variables, false).ok());
        let consumed = consumers.iter().flat_map(|consumer| &consumer.topics);
        let consumed = consumed.filter(|topic| !topic.name.starts_with('^')).map(|topic| topic.name.clone());
        names.chain(consumed).map(|name| Wanted { name, kind: Kind::Declared }).collect()
    }

    /// Makes every topic's handler and checks the models' tables: all mistakes of all consumers at once.
    /// `adjust`: for who runs them in another way.
    pub(super) fn topic_tables(
        &mut self,
        consumers: &[ResolvedConsumer],
        making: &Making<'_>,
        adjust: fn(TopicRuntime) -> TopicRuntime,
    ) -> Result<Vec<TopicTable>, StartError> {
        let (mut declarations, mut tables) = (Vec::new(), Vec::new());
        let mut made = Vec::new();
        let mut tracking = Tracking::new(making.services, making.database);
        for consumer in consumers {
            let mut topics = Vec::new();
            for topic in &consumer.topics {
                let declared = topic.entry.declaration;
                let tracker = tracking.of_topic(consumer, topic)?;
                let group: Arc<str> = consumer.group.as_str().into();
                let related = making.relations.clone().map(|shared| Related { shared, group: group.clone() });
                let handler = match (topic.entry.handler)() {
                    HandlerSource::KeyOffsets => Ok(Some(Handler::KeyOffsets(tracking.watermarks(consumer)?))),
                    source => {
                        let horizon = topic.retry.map_or(Duration::ZERO, |retry| retry.horizon());
                        let guard = Guard::new(group.clone(), horizon, making.clock.clone());
                        let order = Order { guard, related: related.clone() };
                        self.handler(source, (topic.entry.type_id)(), order, making.database, &mut tables)
                    }
                };
                match handler.map(|handler| handler.map(|handler| handler.with_schemas(making.schemas))) {
                    Ok(Some(handler)) => topics.push(adjust(TopicRuntime {
                        type_name: declared.type_name,
                        name: topic.name.clone(),
                        retry: topic.retry,
                        suppression: consumer.suppression.clone(),
                        tracker,
                        related,
                        handler,
                    })),
                    Ok(None) => {}
                    Err(mistake) => {
                        declarations.push(format!("{}: topic `{}`: {mistake}", declared.location, declared.type_name));
                    }
                }
            }
            made.push(TopicTable::new(topics));
        }
        if !declarations.is_empty() {
            return Err(StartError::Declarations(declarations));
        }
        if !tables.is_empty() {
            return Err(StartError::Tables(tables));
        }
        Ok(made)
    }

    fn handler(
        &mut self,
        source: HandlerSource,
        type_id: TypeId,
        order: Order,
        database: Option<&Database>,
        tables: &mut Vec<String>,
    ) -> Result<Option<Handler>, String> {
        match source {
            // It is made of what the application has open, not of what is declared.
            HandlerSource::KeyOffsets => Ok(None),
            HandlerSource::Custom(construct) => {
                match self.topics.get(&type_id).cloned().or_else(|| construct().map(Arc::from)) {
                    Some(topic) => {
                        self.topics.insert(type_id, topic.clone());
                        Ok(Some(Handler::Custom(topic)))
                    }
                    None => Err("it has fields and no `Default`, so its value has to be given: \
                             `App::from_linked().topic(…)`"
                        .to_owned()),
                }
            }
            HandlerSource::Models(model_topic) => {
                let sync = ModelSync::new(model_topic).map_err(|mistakes| mistakes.join("; "))?;
                let mut sync = sync.guarded(order.guard);
                if let Some(related) = order.related {
                    sync = sync.related(related);
                }
                let Some(database) = database else {
                    return Err("its messages become rows, but no database is named: set `database_url` in the \
                                settings, or DJANGO_KAFKA__DATABASE_URL"
                        .to_owned());
                };
                match sync.prepare(database) {
                    Ok(()) => Ok(Some(Handler::Models(Box::new(sync)))),
                    Err(mistakes) => {
                        tables.extend(mistakes);
                        Ok(None)
                    }
                }
            }
        }
    }

    /// Starts a consumer, and the consumer of its retry topics where it has any.
    fn start_consumer(
        &self,
        resolved: &ResolvedConsumer,
        topics: Arc<TopicTable>,
        start: &Start<'_>,
    ) -> Result<Vec<Running>, StartError> {
        let suffix = &start.shared.services.settings.retry_topic_suffix;
        let retries = topics.retry_subscription(&resolved.group, suffix);
        let subscription = topics.subscription();
        let mut running = vec![self.start_engine(resolved, topics.clone(), subscription, false, start)?];
        // What is tried again later has no end to wait for.
        if !retries.is_empty() && !start.options.until_end {
            running.push(self.start_engine(resolved, topics, retries, true, start)?);
        }
        Ok(running)
    }

    /// The books of a consumer that keeps its offsets in the database.
    fn ledger(
        resolved: &ResolvedConsumer,
        is_retry: bool,
        topics: &TopicTable,
        start: &Start<'_>,
    ) -> Result<Option<Ledger>, StartError> {
        if resolved.declaration.offsets != OffsetStore::Database {
            return Ok(None);
        }
        let name = resolved.declaration.type_name;
        let refused = |why: &str| StartError::Database(format!("consumer `{name}`: {why}"));
        let Some(database) = start.shared.context.database() else {
            return Err(refused(
                "its offsets are kept in the database, and none is named: set `database_url` in the settings, or \
                 DJANGO_KAFKA__DATABASE_URL",
            ));
        };
        ledger::check_tables(database).map_err(|why| refused(&why))?;
        let horizon = topics.iter().filter_map(|topic| topic.retry).map(|retry| retry.horizon()).max();
        let retention = retry_retention(horizon.unwrap_or_default());
        let ledger = Ledger::new(database.clone(), &resolved.group, is_retry, retention);
        if start.shared.services.embedded.is_some() {
            // Its topics are new in each run, and so are their offsets.
            ledger.forget().map_err(|error| refused(&error.to_string()))?;
        }
        Ok(Some(ledger))
    }

    fn start_engine(
        &self,
        resolved: &ResolvedConsumer,
        topics: Arc<TopicTable>,
        subscription: Vec<String>,
        is_retry: bool,
        start: &Start<'_>,
    ) -> Result<Running, StartError> {
        let settings = &start.shared.services.settings;
        let until_end = start.options.until_end;
        let name: Arc<str> = if is_retry {
            format!("{}.retry", resolved.declaration.type_name).into()
        } else {
            resolved.declaration.type_name.into()
        };
        let mut config = consumer_config(resolved, is_retry, topics.has_patterns(), settings, until_end)?;
        let ledger = Self::ledger(resolved, is_retry, &topics, start)?;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let session = Session::of(&config, &start.broker.asking, &start.broker.metadata);
        let fence = Fence::new(session.certain_for());
        let meters = start.shared.meters;
        let events_of_client =
            ClientEvents::new(&name, self.error_handler.clone()).finding_back(&config).counting(meters);
        let mut poll_context = PollContext::new(sender.clone(), events_of_client, fence.clone())
            .counting(meters.counter(&catalog::COMMIT_FAILURES, &[&name]));
        let stop_polling = StopPolling::default();
        if let Some(ledger) = &ledger {
            poll_context = poll_context.starting_from_database(Starts {
                group: ledger.reader().clone(),
                reset: Reset::of(config.get("auto.offset.reset")),
                stop: stop_polling.flag(),
                assigned: Mutex::default(),
            });
            // A position that is gone is nothing to be passed over.
            config.set("auto.offset.reset", "error");
        } else if start.shared.services.embedded.is_some() && config.get("auto.offset.reset") == Some("earliest") {
            poll_context = poll_context.asking_starts();
        }
        let refused = |e| StartError::Broker(format!("consumer `{name}` cannot be made: {e}"));
        let consumer: Arc<KafkaConsumer> = Arc::new(config.create_with_context(poll_context).map_err(refused)?);
        let names: Vec<&str> = subscription.iter().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(refused)?;
        let progress = Arc::new(Progress::default());
        let (limits, workers) = limits(resolved, settings);
        // The embedded broker has got its topics since it answered.
        let has_topics = start.shared.services.embedded.is_some()
            || start.broker.metadata.topics().iter().any(|topic| topics.find(topic.name()).is_some());
        let engine_config = EngineConfig {
            name: name.clone(),
            topics,
            subscription,
            is_retry,
            limits,
            workers,
            until_end,
            has_no_topics: until_end && !has_topics,
            detects_gaps: start.shared.services.embedded.is_some(),
            shutdown_timeout: settings.shutdown_timeout,
            environment: start.shared.environment(resolved, name.clone()),
            clock: start.shared.clock.clone(),
            progress: progress.clone(),
            meters: ConsumerMeters::new(meters, name.clone()),
            fence: fence.clone(),
            ledger,
            lapse_hold: session.heartbeat * 2,
        };
        let watched = Watched {
            name: name.clone(),
            group: resolved.group.as_str().into(),
            is_retry,
            sender: sender.clone(),
            fence,
            silence_max: silence_max(&config),
        };
        let (drained, engine_drained) = std_mpsc::channel();
        let (spent, engine_spent) = std_mpsc::channel();
        let (closed, poll_thread) = oneshot::channel();
        PollThread {
            consumer: consumer.clone(),
            sender: sender.clone(),
            stop: stop_polling.flag(),
            drained: engine_drained,
            spent: engine_spent,
            // Polling says that the process lives: often enough for its session.
            poll_timeout: settings.polling_frequency.min(session.timeout / 4),
            closed,
            broker: start.shared.services.embedded.clone(),
        }
        .spawn(&name)?;
        let wiring = Wiring { consumer, sender: sender.clone(), events, stop_polling, spent, drained };
        let engine = tokio::spawn(Engine::new(engine_config, wiring).run());
        Ok(Running { name, sender, engine, poll_thread, progress, watched })
    }
}

/// What all consumers are started with.
struct Start<'s> {
    shared: &'s Shared<'s>,
    broker: &'s Reached,
    options: &'s ConsumeOptions,
}

/// What topics are made with.
pub(crate) struct Making<'m> {
    pub(crate) services: &'m Services,
    pub(crate) database: Option<&'m Database>,
    pub(crate) schemas: Option<&'m SchemaRegistry>,
    pub(crate) relations: Option<Relations>,
    pub(crate) clock: &'m Clock,
}

/// What keeps a model topic's messages in order.
struct Order {
    guard: Guard,
    related: Option<Related>,
}

fn limits(resolved: &ResolvedConsumer, settings: &Settings) -> (LaneLimits, usize) {
    let declaration = &resolved.declaration;
    let batch = settings.batch.of_consumer(&declaration.batch, declaration.workers);
    let limits = LaneLimits {
        batch_max: batch.max as usize,
        batch_bytes_max: usize::try_from(batch.bytes).unwrap_or(usize::MAX),
        linger: batch.linger,
        buffer_max: batch.buffer_messages as usize,
        buffer_bytes_max: usize::try_from(batch.buffer_bytes).unwrap_or(usize::MAX),
    };
    (limits, batch.workers.max(1) as usize)
}
