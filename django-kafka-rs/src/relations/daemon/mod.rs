//! Who has waiting messages handled once their rows are there.

mod caller;
mod handler;
#[cfg(feature = "postgres")]
mod listen;
mod local;
#[cfg(feature = "temporal")]
pub(crate) mod temporal;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::Counter;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::local::LocalDaemon;
use super::related::Relations;
use super::wake::token;
use super::{Awaited, Claim, Count, News, RelationError, WaitingMessage, Which, model_key};
use crate::consumer::batch::BatchEnvironment;
use crate::consumer::topic::{Handler, TopicRuntime, TopicTable};
use crate::db::{Database, DatabaseError, DbConn, failure};
use crate::settings::RELATION_RESOLVER_LEASE;
use crate::sync::{ModelDescriptor, ModelRelation};

/// Chains that are taken at once, and their messages: what a daemon holds in memory.
const CHAINS_MAX: i64 = 1_000;
const MESSAGES_MAX: i64 = 2_000;
/// Rows whose existence is asked for at once.
const ROWS_MAX: i64 = 1_000;
/// Such questions in one look; the next look goes on from there.
const PAGES_MAX: usize = 20;
/// Batches of each kind of what no relation names that are tried in one look of a daemon that is not this process's own.
const REST_BATCHES_MAX: usize = 20;
/// Batches of deletions that are tried in one look.
const BLOCKED_BATCHES_MAX: usize = 10;

/// Why waiting messages could not be resolved. They are still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The database or the brokers are away.
    #[error("{0}")]
    Unavailable(String),
    /// What is to be resolved is none of this program's relations.
    #[error("{0}")]
    Unknown(String),
}

impl From<DatabaseError> for ResolveError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Query(query) => query.into(),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<diesel::result::Error> for ResolveError {
    fn from(error: diesel::result::Error) -> Self {
        let outage = failure::classify(&error).outage(&error);
        Self::Unavailable(outage.unwrap_or_else(|| format!("a statement of the resolver's own failed: {error}")))
    }
}

/// Has waiting messages handled whose rows have come: what every daemon is made of. Cheap to clone; its calls block.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    database: Database,
    relations: Relations,
    groups: Vec<String>,
    /// In the order of `groups`.
    consumers: Vec<Group>,
    /// The models that relations may name, by their tables.
    models: BTreeMap<String, &'static ModelDescriptor>,
    /// Where handlers run, and retries and dead letters are produced.
    runtime: tokio::runtime::Handle,
    stop: CancellationToken,
    /// How long a claim lasts unless it is renewed: then another daemon may take over.
    lease: Duration,
    /// Looks of a daemon that are under way.
    working: AtomicUsize,
    /// Messages that wait no more.
    resolved: OnceLock<Counter>,
}

/// A consumer whose messages may wait.
pub(crate) struct Group {
    pub(crate) topics: Arc<TopicTable>,
    pub(crate) environment: BatchEnvironment,
    /// A handler's work in the database is one transaction, with which its message is forgotten: where the consumer
    /// keeps its offsets in the database.
    pub(crate) joins: bool,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("groups", &self.0.groups).finish_non_exhaustive()
    }
}

/// Messages that a daemon has in hand: until they are settled, or the claim runs out.
#[derive(Debug)]
pub(crate) struct Taken {
    token: String,
    messages: Vec<WaitingMessage>,
}

/// What a call has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Messages that were taken.
    pub taken: usize,
    /// Of these, messages that wait no more.
    pub resolved: usize,
}

impl Done {
    fn add(&mut self, other: Self) {
        self.taken += other.taken;
        self.resolved += other.resolved;
    }
}

impl Resolver {
    /// For these consumers, with claims that last for `lease` unless they are renewed. `stop` ends what waits inside.
    pub(crate) fn new(
        database: Database,
        relations: Relations,
        consumers: Vec<Group>,
        models: impl Iterator<Item = &'static ModelDescriptor>,
        runtime: tokio::runtime::Handle,
        lease: Duration,
        stop: CancellationToken,
    ) -> Result<Self, DatabaseError> {
        let conn = database.writer()?;
        let models = models.map(|model| (model_key(&conn, model), model)).collect();
        drop(conn);
        let groups = consumers.iter().map(|group| group.environment.group.to_string()).collect();
        Ok(Self(Arc::new(Inner {
            database,
            relations,
            groups,
            consumers,
            models,
            runtime,
            stop,
            // Settings that were made in code may say anything.
            lease: lease.clamp(*RELATION_RESOLVER_LEASE.start(), *RELATION_RESOLVER_LEASE.end()),
            working: AtomicUsize::new(0),
            resolved: OnceLock::new(),
        })))
    }

    /// The relations that messages wait for and whose rows exist now: a page of them, behind the place `after` that the
    /// page before gave.
    ///
    /// # Errors
    /// The database is away, or `after` is no such place.
    pub fn resolvable(&self, after: Option<&str>) -> Result<Resolvable, ResolveError> {
        let after = after.map(awaited).transpose()?;
        let page = self.page(after.as_ref())?;
        let next = page.last().map(identity);
        let relations = self.existing(page)?.iter().map(identity).collect();
        Ok(Resolvable { relations, next })
    }

    /// Has the messages handled that wait for a relation, batch by batch, while `alive` says so: it is called between
    /// batches. `true`: there may be more.
    ///
    /// # Errors
    /// The database or the brokers are away, or the relation is none of this program's.
    pub fn resolve(&self, relation: &str, alive: &dyn Fn() -> bool) -> Result<bool, ResolveError> {
        let rows = self.existing(vec![awaited(relation)?])?;
        if rows.is_empty() {
            return Ok(false);
        }
        while alive() {
            if self.take(Which::Relations(&rows))?.resolved == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Has handled what no relation names, as far as a look does, while `alive` says so: messages whose row came in the
    /// meantime, that lost the one before them, that failed and are due again, and deletions that others blocked.
    ///
    /// # Errors
    /// The database or the brokers are away.
    pub fn resolve_rest(&self, alive: &dyn Fn() -> bool) -> Result<(), ResolveError> {
        for which in OTHERS {
            for _ in 0..REST_BATCHES_MAX {
                let done = if alive() { self.take(which)? } else { return Ok(()) };
                if done.resolved == 0 && !(matches!(which, Which::Blocked) && done.taken > 0) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Has everything handled that this news is about.
    pub(crate) fn follow(&self, news: &News) -> Result<Done, ResolveError> {
        let mut done = Done::default();
        let rows: Vec<Awaited> = news.rows.iter().cloned().collect();
        for rows in rows.chunks(CHAINS_MAX as usize) {
            done.add(self.take_rows(rows.to_vec())?);
        }
        if news.unseen {
            done.add(self.take_all(Which::Unseen, usize::MAX)?);
        }
        if news.gone {
            done.add(self.take_all(Which::Blocked, BLOCKED_BATCHES_MAX)?);
        }
        Ok(done)
    }

    /// Looks at what waits, from `after` on: not more than is good at once. `None`: it came to the end.
    pub(crate) fn look(&self, after: &mut Option<Awaited>) -> Result<Done, ResolveError> {
        let mut done = Done::default();
        for _ in 0..PAGES_MAX {
            let page = self.page(after.as_ref())?;
            *after = page.last().cloned();
            if page.is_empty() || self.0.stop.is_cancelled() {
                break;
            }
            done.add(self.take_rows(page)?);
        }
        for which in OTHERS {
            let batches_max = if matches!(which, Which::Blocked) { BLOCKED_BATCHES_MAX } else { usize::MAX };
            done.add(self.take_all(which, batches_max)?);
        }
        Ok(done)
    }

    /// Takes these messages, and what waits of their keys, whether their rows are there or not.
    pub(crate) fn take_ids(&self, ids: &[i64]) -> Result<Done, ResolveError> {
        self.take(Which::Ids(ids))
    }

    /// Whether a daemon has messages in hand, or looks at them.
    pub(crate) fn is_busy(&self) -> Result<bool, ResolveError> {
        if self.0.working.load(Ordering::Acquire) > 0 {
            return Ok(true);
        }
        let mut conn = self.0.database.writer()?;
        Ok(self.0.relations.processor.is_claimed(&mut conn, &self.0.groups)?)
    }

    /// One message that waits.
    pub(crate) fn find(&self, id: i64) -> Result<Option<WaitingMessage>, ResolveError> {
        let mut conn = self.0.database.writer()?;
        Ok(self.0.relations.processor.find(&mut conn, id)?)
    }

    /// Messages that wait, in order, behind the number `after`.
    pub(crate) fn list(&self, after: i64, limit: i64) -> Result<Vec<WaitingMessage>, ResolveError> {
        let mut conn = self.0.database.writer()?;
        Ok(self.0.relations.processor.list(&mut conn, &self.0.groups, after, limit)?)
    }

    /// How much waits for each row, the most first.
    pub(crate) fn counts(&self, limit: i64) -> Result<Vec<Count>, ResolveError> {
        let mut conn = self.0.database.writer()?;
        Ok(self.0.relations.processor.counts(&mut conn, &self.0.groups, limit)?)
    }

    /// How much waits for each relation, whatever its rows.
    pub(crate) fn totals(&self) -> Result<Vec<Count>, ResolveError> {
        let mut conn = self.0.database.writer()?;
        Ok(self.0.relations.processor.totals(&mut conn, &self.0.groups)?)
    }

    /// Counts what is resolved from now on.
    pub(crate) fn counting(&self, resolved: Counter) {
        // Called once: there is nothing to replace.
        let _ = self.0.resolved.set(resolved);
    }

    /// One look of the daemon's own.
    pub(crate) fn work<T>(&self, look: impl FnOnce(&Self) -> T) -> T {
        self.0.working.fetch_add(1, Ordering::AcqRel);
        let done = look(self);
        self.0.working.fetch_sub(1, Ordering::AcqRel);
        done
    }

    /// Waits on the consumers' clock.
    pub(crate) async fn pause(&self, pause: Duration) {
        match self.0.consumers.first() {
            Some(group) => {
                let clock = &group.environment.clock;
                clock.sleep_until(Some(clock.now() + pause)).await;
            }
            None => tokio::time::sleep(pause).await,
        }
    }

    pub(crate) fn relations(&self) -> &Relations {
        &self.0.relations
    }

    fn take_rows(&self, rows: Vec<Awaited>) -> Result<Done, ResolveError> {
        let rows = self.existing(rows)?;
        if rows.is_empty() { Ok(Done::default()) } else { self.take_all(Which::Relations(&rows), usize::MAX) }
    }

    /// Batch after batch, while messages are resolved.
    fn take_all(&self, which: Which<'_>, batches_max: usize) -> Result<Done, ResolveError> {
        let mut all = Done::default();
        for _ in 0..batches_max {
            let done = self.take(which)?;
            all.add(done);
            let blocked = matches!(which, Which::Blocked) && done.taken > 0;
            if (done.resolved == 0 && !blocked) || self.0.stop.is_cancelled() {
                break;
            }
        }
        Ok(all)
    }

    /// Relations that messages wait for, behind `after`.
    pub(crate) fn page(&self, after: Option<&Awaited>) -> Result<Vec<Awaited>, ResolveError> {
        let mut conn = self.0.database.writer()?;
        Ok(self.0.relations.processor.relations(&mut conn, &self.0.groups, after, ROWS_MAX)?)
    }

    /// Those of these rows that exist.
    pub(crate) fn existing(&self, rows: Vec<Awaited>) -> Result<Vec<Awaited>, ResolveError> {
        let known = rows.into_iter().filter_map(|row| Some((self.relation_of(&row)?, row)));
        let (relations, rows): (Vec<ModelRelation>, Vec<Awaited>) = known.unzip();
        if rows.is_empty() {
            return Ok(rows);
        }
        let asked: Vec<&ModelRelation> = relations.iter().collect();
        let mut conn = self.0.database.writer()?;
        let exist = self.0.relations.resolver.exist(&mut conn, &asked).map_err(|error| match error {
            RelationError::Database(error) => ResolveError::from(error),
            error => ResolveError::Unknown(error.to_string()),
        })?;
        Ok(rows.into_iter().zip(exist).filter_map(|(row, exists)| exists.then_some(row)).collect())
    }

    /// A stored relation as a relation of this program; `None`, said, where the program has no such model any more.
    fn relation_of(&self, row: &Awaited) -> Option<ModelRelation> {
        let model = self.0.models.get(&row.model_key);
        let column = model.and_then(|model| model.columns.iter().find(|column| column.field == row.field));
        let relation =
            model.zip(column).map(|(model, column)| ModelRelation::of(model, column.field, row.value.clone()));
        if relation.is_none() {
            tracing::warn!(
                table = row.model_key,
                field = row.field,
                "messages wait for a row of a table, or by a field, that no model of this program has any more; \
                 `waiting discard` forgets them"
            );
        }
        relation
    }

    /// Takes a batch of messages and has them handled.
    fn take(&self, which: Which<'_>) -> Result<Done, ResolveError> {
        match self.claim(which)? {
            Some(taken) => self.settle(taken),
            None => Ok(Done::default()),
        }
    }

    /// Takes a batch of messages; `None`: there are none.
    pub(crate) fn claim(&self, which: Which<'_>) -> Result<Option<Taken>, ResolveError> {
        let inner = &*self.0;
        let Some(first) = inner.consumers.first() else { return Ok(None) };
        let token = token();
        let claim = Claim {
            groups: &inner.groups,
            token: &token,
            lease_ms: self.lease_ms(),
            now_ms: first.environment.clock.now_ms(),
            chains_max: CHAINS_MAX,
            messages_max: MESSAGES_MAX,
        };
        let messages = self.write(|conn| inner.relations.processor.claim(conn, which, &claim))?;
        Ok((!messages.is_empty()).then_some(Taken { token, messages }))
    }

    /// Has them handled, and keeps the claim meanwhile.
    pub(crate) fn settle(&self, taken: Taken) -> Result<Done, ResolveError> {
        let Taken { token, messages } = taken;
        let kept = self.keep(&token);
        let mut done = Done { taken: messages.len(), resolved: 0 };
        let mut failed = None;
        for batch in batches(messages) {
            match self.handle(&token, &batch) {
                Ok(resolved) => done.resolved += resolved,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        drop(kept);
        if let Some(resolved) = self.0.resolved.get() {
            resolved.increment(done.resolved as u64);
        }
        self.write(|conn| self.0.relations.processor.release(conn, &token))?;
        failed.map_or(Ok(done), Err)
    }

    /// Renews a claim until the guard is dropped, long before it would run out.
    fn keep(&self, token: &str) -> DropGuard {
        let ended = CancellationToken::new();
        let (resolver, token, kept) = (self.clone(), token.to_owned(), ended.clone());
        self.0.runtime.spawn(async move {
            while kept.run_until_cancelled(tokio::time::sleep(resolver.0.lease / 3)).await.is_some() {
                let (resolver, token) = (resolver.clone(), token.clone());
                let lease_ms = resolver.lease_ms();
                let renew = move || resolver.write(|conn| resolver.relations().processor.renew(conn, &token, lease_ms));
                if let Ok(Err(error)) = tokio::task::spawn_blocking(renew).await {
                    tracing::warn!("a claim on waiting messages could not be renewed: {error}");
                }
            }
        });
        ended.drop_guard()
    }

    fn lease_ms(&self) -> i64 {
        i64::try_from(self.0.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// Handles messages of one topic; how many wait no more.
    fn handle(&self, token: &str, batch: &[WaitingMessage]) -> Result<usize, ResolveError> {
        let Some(first) = batch.first() else { return Ok(0) };
        let Some((group, topic)) = self.topic_of(first) else {
            tracing::warn!(
                topic = &*first.record.topic,
                group = first.group,
                "messages of a topic wait that no consumer of this program has any more; `waiting discard` forgets them"
            );
            return Ok(0);
        };
        match &topic.handler {
            Handler::Models(sync) => caller::apply(self, group, &topic, sync, token, batch),
            Handler::Custom(custom) => handler::consume(self, group, &topic, &**custom, token, batch),
            Handler::KeyOffsets(_) => Ok(0),
        }
    }

    fn topic_of(&self, message: &WaitingMessage) -> Option<(&Group, Arc<TopicRuntime>)> {
        let mut of_group = self.0.consumers.iter().filter(|group| *group.environment.group == *message.group);
        of_group.find_map(|group| Some((group, group.topics.find(&message.record.topic)?.clone())))
    }

    fn write<T>(&self, work: impl FnMut(&mut DbConn) -> diesel::QueryResult<T>) -> Result<T, ResolveError> {
        self.0.database.write_until_alone(work).map_err(Into::into)
    }
}

/// What is looked at beside relations.
const OTHERS: [Which<'static>; 3] = [Which::Unseen, Which::Failed, Which::Blocked];

/// A page of relations whose rows exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolvable {
    /// Each as the text that [`Resolver::resolve`] takes. May be none, with a next page.
    pub relations: Vec<String>,
    /// The place behind which the next page begins; `None`: this was the last one.
    pub next: Option<String>,
}

/// A relation as text, the same in every process.
fn identity(row: &Awaited) -> String {
    // Three strings: always JSON.
    serde_json::to_string(row).unwrap_or_default()
}

/// A relation of a text of [`identity`]'s.
pub(crate) fn awaited(text: &str) -> Result<Awaited, ResolveError> {
    serde_json::from_str(text).map_err(|error| ResolveError::Unknown(format!("`{text}` is no relation: {error}")))
}

/// Messages of one group and topic each, in order.
fn batches(messages: Vec<WaitingMessage>) -> Vec<Vec<WaitingMessage>> {
    let mut batches: BTreeMap<(String, Arc<str>), Vec<WaitingMessage>> = BTreeMap::new();
    for message in messages {
        batches.entry((message.group.clone(), message.record.topic.clone())).or_default().push(message);
    }
    batches.into_values().collect()
}

/// Resolves relations until it is told to stop: inside `consume`, or alone.
pub trait ResolverDaemon: Send + Sync + 'static {
    /// Whether `consume` runs it; else it needs a process of its own.
    fn runs_inside(&self) -> bool {
        true
    }

    /// The command that runs it alone, for who asks.
    fn command(&self) -> &'static str {
        "resolve-relations"
    }

    /// Runs until `stop` is cancelled.
    fn run(&self, resolver: Resolver, stop: CancellationToken) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
