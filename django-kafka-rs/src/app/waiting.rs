//! `waiting` and `resolve-relations`: messages that wait for rows, by hand and by a daemon of its own.

use std::sync::Arc;

use diesel::QueryResult;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::relating::{Shared, resolve_all};
use super::{Making, Parts, Services, StartError};
use crate::cli::Waiting;
use crate::clock::Clock;
use crate::context::Context;
use crate::db::{Database, DbConn};
use crate::meters::{Endpoint, Observed, Observer, catalog};
#[cfg(feature = "temporal")]
use crate::relations::temporal;
use crate::relations::{Chain, ResolveError, Resolver, ResolverDaemon, WaitingMessage};
use crate::settings::Settings;
use crate::topic_admin::TopicAdmin;

/// What is open while waiting messages are looked at.
pub(super) struct Office {
    /// The embedded parts live as long.
    services: Services,
    /// Ends what the resolver still waits for when the office closes: handlers, brokers that are away.
    _abort: DropGuard,
    pub(super) resolver: Resolver,
    database: Database,
    /// Of a daemon, where the settings ask for one.
    _endpoint: Endpoint,
}

impl From<ResolveError> for StartError {
    fn from(error: ResolveError) -> Self {
        Self::Database(error.to_string())
    }
}

impl Office {
    /// Opens everything that handling them needs. Blocks.
    pub(super) fn open(parts: &mut Parts) -> Result<Self, StartError> {
        Self::open_with(parts, |_| Ok(Endpoint::default()))
    }

    /// The same for a daemon, with the endpoint that the settings ask for: probes and Prometheus are answered. Blocks.
    pub(super) fn open_for_daemon(parts: &mut Parts) -> Result<Self, StartError> {
        Self::open_with(parts, |settings| Endpoint::start(&settings.metrics, true).map_err(StartError::System))
    }

    fn open_with(
        parts: &mut Parts,
        endpoint: impl FnOnce(&Settings) -> Result<Endpoint, StartError>,
    ) -> Result<Self, StartError> {
        let consumers = parts.resolve(&[])?;
        let services = Services::start(std::mem::take(&mut parts.settings))?;
        let endpoint = endpoint(&services.settings)?;
        let meters = endpoint.meters();
        let database = services.open_database()?.ok_or_else(super::check::no_database)?;
        let waits = meters.histogram(&catalog::CONNECTION_WAIT, &[]);
        database.telling(move |waited| waits.record(waited));
        let kafka = services.kafka(None, &meters)?;
        let clock = Clock::new();
        let relations = parts.relations(&database)?;
        let making = Making {
            services: &services,
            database: Some(&database),
            schemas: kafka.schema_registry(),
            relations: Some(relations.clone()),
            clock: &clock,
        };
        let tables = parts.topic_tables(&consumers, &making, |topic| topic)?;
        let context = Context::new(kafka.clone(), Some(database.clone()), parts.take_states());
        let asking = services.asking_config()?;
        let admin = TopicAdmin::new(asking.clone(), services.embedded.clone(), services.settings.topics.clone());
        let consumers: Vec<_> = consumers.iter().zip(tables.into_iter().map(Arc::new)).collect();
        let shared = Shared { services: &services, context: &context, admin: &admin, clock: &clock, meters: &meters };
        let abort = CancellationToken::new();
        let resolver = parts.resolver(&database, relations, &consumers, &shared, abort.clone())?;
        let observed = Observed {
            consumers: Vec::new(),
            asking,
            producer: kafka.producer().clone(),
            database: Some(database.clone()),
            resolver: Some(resolver.clone()),
            clock: clock.clone(),
        };
        endpoint.started(&Observer::new(meters, observed));
        Ok(Self { services, _abort: abort.drop_guard(), resolver, database, _endpoint: endpoint })
    }

    /// What waits, `limit` messages at most. Blocks.
    pub(super) fn list(&self, limit: i64) -> Result<Waiting, StartError> {
        let messages = self.resolver.list(0, limit)?;
        Ok(Waiting { messages, counts: self.resolver.counts(limit)?, now_ms: Clock::new().now_ms() })
    }

    /// How much waits for each row, `limit` rows at most. Blocks.
    pub(super) fn counts(&self, limit: i64) -> Result<Waiting, StartError> {
        Ok(Waiting { messages: Vec::new(), counts: self.resolver.counts(limit)?, now_ms: Clock::new().now_ms() })
    }

    /// These messages. Blocks.
    pub(super) fn find(&self, numbers: &[i64]) -> Result<Waiting, StartError> {
        let mut messages = Vec::new();
        for number in numbers {
            let found = self.resolver.find(*number)?;
            messages.push(found.ok_or_else(|| {
                StartError::Database(format!("no message of number {number} waits; `waiting list` has the numbers"))
            })?);
        }
        Ok(Waiting { messages, counts: Vec::new(), now_ms: Clock::new().now_ms() })
    }

    /// Handles what can be handled; how many messages wait no more. Blocks.
    pub(super) fn resolve(&self, numbers: &[i64]) -> Result<usize, StartError> {
        if !numbers.is_empty() {
            return Ok(self.resolver.take_ids(numbers)?.resolved);
        }
        let (mut after, mut resolved) = (None, 0);
        loop {
            let done = self.resolver.look(&mut after)?;
            resolved += done.resolved;
            if done.resolved == 0 && after.is_none() {
                return Ok(resolved);
            }
        }
    }

    /// Forgets messages; how many there were. Blocks.
    pub(super) fn discard(&self, numbers: &[i64]) -> Result<usize, StartError> {
        let processor = &self.resolver.relations().processor;
        let discard = |conn: &mut DbConn| -> QueryResult<usize> {
            let found: Vec<WaitingMessage> = numbers
                .iter()
                .filter_map(|number| processor.find(conn, *number).transpose())
                .collect::<QueryResult<_>>()?;
            let count = processor.discard(conn, numbers)?;
            for message in found {
                processor.judge_anew(conn, &message.group, &[&Chain::of(&message.record)])?;
            }
            Ok(count)
        };
        self.database.write_transaction(|conn| discard(conn).map_err(ResolveError::from)).map_err(Into::into)
    }

    /// Runs this daemon until `stop` is cancelled, and then as long as the settings give it to end.
    pub(super) async fn run(self, daemon: &dyn ResolverDaemon, stop: CancellationToken) {
        let running = async {
            resolve_all(&self.resolver).await;
            daemon.run(self.resolver.clone(), stop.clone()).await;
        };
        let timeout = self.services.settings.shutdown_timeout;
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(timeout).await;
        };
        tokio::select! {
            () = running => {}
            () = late => tracing::warn!("waiting messages are left for the next start: ending took longer than {timeout:?}"),
        }
    }

    /// Runs Temporal's worker until `stop` is cancelled.
    #[cfg(feature = "temporal")]
    pub(super) async fn work_for_temporal(
        self,
        settings: &Settings,
        stop: CancellationToken,
    ) -> Result<(), StartError> {
        temporal::work(settings, &self.resolver, &stop).await.map_err(Into::into)
    }
}
