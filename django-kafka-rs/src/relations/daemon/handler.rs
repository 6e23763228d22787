//! Waiting messages of a topic whose handler is the user's.

use std::collections::HashSet;
use std::sync::Arc;

use super::caller::bury;
use super::{Group, ResolveError, Resolver};
use crate::consumer::batch;
use crate::consumer::topic::TopicRuntime;
use crate::db::joined::{Joined, Slot};
use crate::db::{WriterGuard, failure, transaction};
use crate::dead_letter;
use crate::error::ConsumeError;
use crate::record::RawRecord;
use crate::relations::{Chain, Still, WaitingMessage, awaited};
use crate::retry::policy::Decision;
use crate::sync::ModelRelation;
use crate::topic::CustomTopic;

/// Has them handled, one after the other; how many wait no more.
pub(super) fn consume(
    resolver: &Resolver,
    group: &Group,
    topic: &Arc<TopicRuntime>,
    custom: &dyn CustomTopic,
    token: &str,
    batch: &[WaitingMessage],
) -> Result<usize, ResolveError> {
    let handlers = Handlers { resolver, group, topic, custom, token };
    let records: Vec<Arc<RawRecord>> = batch.iter().map(|message| message.record.clone()).collect();
    // Chains that stop here, for whatever reason.
    let mut stopped = HashSet::new();
    let mut resolved = 0;
    for (index, message) in batch.iter().enumerate() {
        let chain = Chain::of(&message.record);
        if stopped.contains(&chain) || resolver.0.stop.is_cancelled() {
            continue;
        }
        if handlers.one(&records, index, message)? {
            resolved += 1;
        } else {
            stopped.insert(chain);
        }
    }
    Ok(resolved)
}

/// How a handler's call ended.
enum Called {
    /// Well: its message waits no more.
    Over,
    /// Its message is another daemon's by now: nothing is committed.
    Taken,
    Failed(ConsumeError),
}

struct Handlers<'a> {
    resolver: &'a Resolver,
    group: &'a Group,
    topic: &'a Arc<TopicRuntime>,
    custom: &'a dyn CustomTopic,
    token: &'a str,
}

impl Handlers<'_> {
    /// Whether the message waits no more.
    fn one(&self, records: &[Arc<RawRecord>], index: usize, message: &WaitingMessage) -> Result<bool, ResolveError> {
        let processor = &self.resolver.relations().processor;
        let chain = Chain::of(&message.record);
        let mut failed = None;
        let context = &self.group.environment.context;
        let asked = batch::relations(self.custom, message.record.clone(), context);
        match self.resolver.0.runtime.block_on(asked) {
            Ok(relations) => {
                let relations = relations.unwrap_or_default();
                let relation = self.missing(&relations)?;
                let held = self.resolver.write(|conn| {
                    let held = processor.held(conn, self.token, &[message.id])?;
                    if let (Some(relation), false) = (relation, held.is_empty()) {
                        let now_ms = self.group.environment.clock.now_ms();
                        let still = Still { chain: chain.clone(), relation: awaited(conn, relation), now_ms };
                        processor.still(conn, &message.group, self.token, &[still])?;
                    }
                    Ok(!held.is_empty())
                })?;
                if !held || relation.is_some() {
                    return Ok(false);
                }
            }
            Err(error) => failed = Some(error),
        }
        let attempts = message.attempts.saturating_add(1);
        let error = match failed {
            Some(error) => error,
            None => match self.call(message)? {
                Called::Over => return Ok(true),
                Called::Taken => return Ok(false),
                Called::Failed(error) => error,
            },
        };
        let decision = batch::decide(self.topic, &message.record, &error, attempts);
        let delay = match decision {
            Decision::Hold(delay) | Decision::Hop { delay, .. } => delay,
            Decision::Skip | Decision::Superseded => {
                self.resolver.write(|conn| processor.discard(conn, &[message.id]))?;
                return Ok(true);
            }
            Decision::DeadLetter => {
                let sent = bury(self.resolver, self.group, self.topic, records, vec![(index, error, attempts)]);
                if !sent.is_empty() {
                    self.resolver.write(|conn| processor.discard(conn, &[message.id]))?;
                }
                return Ok(!sent.is_empty());
            }
        };
        let due_ms = self.group.environment.clock.now_ms();
        let due_ms = due_ms.saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
        let why = dead_letter::summary(error.error());
        self.resolver.write(|conn| processor.failed(conn, message.id, attempts, &why, due_ms))?;
        Ok(false)
    }

    /// The first relation whose row does not exist.
    fn missing<'r>(&self, relations: &'r [ModelRelation]) -> Result<Option<&'r ModelRelation>, ResolveError> {
        let asked: Vec<&ModelRelation> = relations.iter().filter(|relation| relation.value().is_some()).collect();
        if asked.is_empty() {
            return Ok(None);
        }
        let mut conn = self.resolver.0.database.writer()?;
        let exist = self.resolver.relations().resolver.exist(&mut conn, &asked);
        let exist = exist.map_err(|error| ResolveError::Unknown(error.to_string()))?;
        Ok(asked.into_iter().zip(exist).find_map(|(relation, exists)| (!exists).then_some(relation)))
    }

    /// Calls the handler. Where it succeeds, its message is forgotten.
    fn call(&self, message: &WaitingMessage) -> Result<Called, ResolveError> {
        let joined = Joined::default();
        let mut context = self.group.environment.context.clone();
        if self.group.joins {
            context = context.with_joined(joined.clone());
        }
        let record = message.record.clone();
        let calling = batch::call(self.custom, record, message.attempts, &context);
        let result = self.resolver.0.runtime.block_on(self.topic.suppression.clone().scope(calling));
        let slot = self.resolver.0.runtime.block_on(joined.end());
        match (result, slot) {
            (Err(error), slot) => {
                if let Slot::Open(conn) = slot {
                    roll_back(conn);
                }
                match context.take_outage() {
                    Some(reason) => Err(ResolveError::Unavailable(reason)),
                    None => Ok(Called::Failed(error)),
                }
            }
            (Ok(()), Slot::Open(conn)) => self.commit(conn, message),
            (Ok(()), Slot::Lost(lost)) if lost.is_outage => Err(ResolveError::Unavailable(lost.reason)),
            (Ok(()), Slot::Lost(lost)) => Ok(Called::Failed(lost.reason.into())),
            (Ok(()), Slot::Unused | Slot::Ended) => {
                self.resolver.write(|conn| self.resolver.relations().processor.discard(conn, &[message.id]))?;
                Ok(Called::Over)
            }
        }
    }

    /// Commits what the handler did, and that its message waits no more.
    fn commit(&self, mut conn: WriterGuard, message: &WaitingMessage) -> Result<Called, ResolveError> {
        let processor = &self.resolver.relations().processor;
        let committed = transaction::check_open(&mut conn).and_then(|()| {
            if processor.held(&mut conn, self.token, &[message.id])?.is_empty() {
                return Ok(false);
            }
            processor.discard(&mut conn, &[message.id])?;
            transaction::commit_checked(&mut conn)?;
            Ok(true)
        });
        match committed {
            Ok(true) => Ok(Called::Over),
            Ok(false) => {
                roll_back(conn);
                Ok(Called::Taken)
            }
            Err(error) => {
                roll_back(conn);
                match failure::classify(&error).outage(&error) {
                    Some(reason) => Err(ResolveError::Unavailable(reason)),
                    None => Ok(Called::Failed(format!("the transaction cannot be committed: {error}").into())),
                }
            }
        }
    }
}

fn roll_back(mut conn: WriterGuard) {
    // Where this fails, the guard drops the connection, and the database rolls back.
    let _ = transaction::rollback_to(&mut conn, 0);
}
