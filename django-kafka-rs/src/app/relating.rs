//! Relations at start: what the program declares of them, who resolves them, and what takes the defaults' place.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::services::Services;
use super::{Parts, StartError};
use crate::clock::Clock;
use crate::consumer::OffsetStore;
use crate::consumer::batch::BatchEnvironment;
use crate::consumer::topic::TopicTable;
use crate::context::Context;
use crate::db::Database;
use crate::meters::{Meters, catalog};
use crate::registry::{DECLARATIONS, Declaration, ResolvedConsumer};
use crate::relations::{
    self, Declared, Group, LocalDaemon, MessageProcessor, RelationResolver, Relations, Resolver, ResolverDaemon,
};
use crate::settings::Settings;
use crate::sync::{ModelDescriptor, ModelTopic, Targets};
use crate::topic::HandlerSource;
use crate::topic_admin::TopicAdmin;

/// What the application has in the place of the defaults.
#[derive(Clone, Default)]
pub(crate) struct Replacements {
    pub(crate) resolver: Option<Arc<dyn RelationResolver>>,
    pub(crate) processor: Option<Arc<dyn MessageProcessor>>,
    pub(crate) daemon: Option<Arc<dyn ResolverDaemon>>,
}

/// What consumers are given in common.
pub(super) struct Shared<'s> {
    pub(super) services: &'s Services,
    pub(super) context: &'s Context,
    pub(super) admin: &'s TopicAdmin,
    pub(super) clock: &'s Clock,
    pub(super) meters: &'s Meters,
}

impl Shared<'_> {
    /// A consumer's environment, by the name that its log lines have.
    pub(super) fn environment(&self, consumer: &ResolvedConsumer, name: Arc<str>) -> BatchEnvironment {
        BatchEnvironment {
            consumer: name,
            group: consumer.group.as_str().into(),
            settings: self.services.settings.clone(),
            context: self.context.clone(),
            producer: self.context.producer().clone(),
            clock: self.clock.clone(),
            topics: self.admin.clone(),
            cancel: CancellationToken::new(),
            forces: false,
        }
    }
}

impl Parts {
    /// The relations that the program declares, whichever of its consumers run.
    pub(crate) fn relations(&self, database: &Database) -> Result<Relations, StartError> {
        let mut conn = database.writer().map_err(|e| StartError::Database(e.to_string()))?;
        let stored = relations::has_table(&mut conn).map_err(|e| StartError::Database(e.to_string()))?;
        drop(conn);
        let topics = self.model_topics();
        let handlers = self.registry.consumers.iter().flat_map(|consumer| consumer.topics);
        // Without a place to park them, what handlers declare is said message by message.
        let by_handler = stored && handlers.clone().any(|t| matches!((t.handler)(), HandlerSource::Custom(_)));
        let declared = Declared::new(self.registry.models.iter().copied(), topics.into_iter(), by_handler);
        let mut relations = Relations::new(declared);
        if let Some(resolver) = &self.replacements.resolver {
            relations.resolver = resolver.clone();
        }
        if let Some(processor) = &self.replacements.processor {
            relations.processor = processor.clone();
        }
        Ok(relations)
    }

    fn model_topics(&self) -> Vec<&'static ModelTopic> {
        let topics = self.registry.consumers.iter().flat_map(|consumer| consumer.topics);
        let of = |source| match source {
            HandlerSource::Models(topic) => Some(topic),
            _ => None,
        };
        topics.filter_map(|topic| of((topic.handler)())).collect()
    }

    /// The models that relations may name: all that the program has.
    fn related_models(&self) -> Vec<&'static ModelDescriptor> {
        let linked = DECLARATIONS.iter().filter_map(|declaration| match declaration {
            Declaration::Model(model) => Some(*model),
            _ => None,
        });
        let consumed = self.model_topics().into_iter().flat_map(|topic| match topic.targets {
            Targets::One(model) => vec![model],
            Targets::Reroute(map) => map.iter().map(|(_, model)| *model).collect(),
        });
        let mut models: Vec<_> = linked.chain(self.registry.models.iter().copied()).chain(consumed).collect();
        let parents = models.iter().flat_map(|model| model.relations).map(|relation| (relation.model)());
        models.extend(parents.collect::<Vec<_>>());
        models
    }

    /// What resolves the relations of these consumers.
    pub(super) fn resolver(
        &self,
        database: &Database,
        relations: Relations,
        consumers: &[(&ResolvedConsumer, Arc<TopicTable>)],
        shared: &Shared<'_>,
        abort: CancellationToken,
    ) -> Result<Resolver, StartError> {
        let groups = consumers.iter().map(|(consumer, topics)| Group {
            topics: topics.clone(),
            environment: shared.environment(consumer, consumer.declaration.type_name.into()),
            joins: consumer.declaration.offsets == OffsetStore::Database,
        });
        let runtime = tokio::runtime::Handle::current();
        let models = self.related_models();
        let (groups, models, lease) =
            (groups.collect(), models.into_iter(), shared.services.settings.relation_resolver_lease);
        let resolver = Resolver::new(database.clone(), relations, groups, models, runtime, lease, abort)
            .map_err(|e| StartError::Database(e.to_string()))?;
        resolver.counting(shared.meters.counter(&catalog::RESOLVED, &[]));
        Ok(resolver)
    }

    /// The daemon that the settings name, or the application's own.
    ///
    /// # Errors
    /// The program is built without what it needs.
    pub(crate) fn daemon(&self, settings: &Settings) -> Result<Arc<dyn ResolverDaemon>, StartError> {
        if let Some(daemon) = &self.replacements.daemon {
            return Ok(daemon.clone());
        }
        // Settings that were not read, but made in code.
        settings.relation_resolver_daemon.is_built().map_err(StartError::WrongUse)?;
        Ok(match settings.relation_resolver_daemon {
            #[cfg(feature = "temporal")]
            crate::settings::RelationResolverDaemon::Temporal => {
                Arc::new(relations::temporal::TemporalDaemon::new(settings))
            }
            _ => Arc::new(LocalDaemon::new(settings.relation_resolver_daemon_interval)),
        })
    }
}

/// A daemon that runs.
pub(crate) struct RunningDaemon {
    task: JoinHandle<()>,
    stop: CancellationToken,
    abort: CancellationToken,
    resolver: Resolver,
    until_end: bool,
}

impl RunningDaemon {
    /// Starts it on the runtime of this thread.
    pub(super) fn start(
        daemon: &dyn ResolverDaemon,
        resolver: &Resolver,
        abort: CancellationToken,
        until_end: bool,
    ) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(daemon.run(resolver.clone(), stop.clone()));
        Self { task, stop, abort, resolver: resolver.clone(), until_end }
    }

    /// Ends it, after the consumers: what came with their last messages is resolved, within the time given.
    pub(super) async fn end(self, timeout: Duration) {
        let Self { task, stop, abort, resolver, until_end } = self;
        stop.cancel();
        let abort_of_task = task.abort_handle();
        let end = async {
            let _ = task.await;
            if until_end {
                resolve_all(&resolver).await;
            }
        };
        if tokio::time::timeout(timeout, end).await.is_err() {
            tracing::warn!("waiting messages are left for the next start: resolving them took longer than {timeout:?}");
            abort.cancel();
            abort_of_task.abort();
        }
    }
}

/// Resolves what can be resolved now.
pub(crate) async fn resolve_all(resolver: &Resolver) {
    loop {
        let looking = resolver.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let mut after = None;
            let done = looking.look(&mut after);
            done.map(|done| done.resolved > 0 || after.is_some())
        });
        match looked.await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!("waiting messages stay: {error}");
                return;
            }
        }
    }
}
