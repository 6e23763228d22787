//! Waiting messages of a model topic, applied like any other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Group, ResolveError, Resolver};
use crate::consumer::batch::{self, BatchEnvironment};
use crate::consumer::topic::TopicRuntime;
use crate::db::DbConn;
use crate::dead_letter;
use crate::error::ConsumeError;
use crate::record::RawRecord;
use crate::relations::{MessageProcessor, WaitingMessage};
use crate::retry::policy::Decision;
use crate::sync::{Caller, Claimed, Covered, ModelSync, Outcome, Refused, Stop, Verdict};

/// Applies them; how many wait no more.
pub(super) fn apply(
    resolver: &Resolver,
    group: &Group,
    topic: &Arc<TopicRuntime>,
    sync: &ModelSync,
    token: &str,
    batch: &[WaitingMessage],
) -> Result<usize, ResolveError> {
    let records: Vec<Arc<RawRecord>> = batch.iter().map(|message| message.record.clone()).collect();
    let ids: Vec<i64> = batch.iter().map(|message| message.id).collect();
    let mut caller = ParkedCaller {
        topic,
        environment: &group.environment,
        processor: &*resolver.relations().processor,
        token,
        ids: &ids,
        messages: batch,
        decisions: BTreeMap::new(),
    };
    let applying = || sync.apply(&resolver.0.database, &records, &mut caller);
    let report = topic.suppression.clone().sync_scope(applying);
    let decisions = std::mem::take(&mut caller.decisions);
    let (mut resolved, mut over, mut dead) = (0, Vec::new(), Vec::new());
    for (index, outcome) in report.outcomes.into_iter().enumerate() {
        match outcome {
            Outcome::Parked => {}
            Outcome::Applied | Outcome::Reduced | Outcome::Superseded(_) => resolved += 1,
            Outcome::Ignored => over.push(ids[index]),
            Outcome::Failed(error) => match decisions.get(&index) {
                Some(Decision::DeadLetter) | None => dead.push((index, error, batch[index].attempts + 1)),
                Some(Decision::Skip | Decision::Superseded) => over.push(ids[index]),
                Some(Decision::Hold(_) | Decision::Hop { .. }) => {}
            },
        }
    }
    let sent = bury(resolver, group, topic, &records, dead);
    over.extend(sent.iter().map(|index| ids[*index]));
    // What another daemon has taken over meanwhile is its to forget.
    let processor = &resolver.relations().processor;
    resolved += resolver.write(|conn| {
        let held = processor.held(conn, token, &over)?;
        let held: Vec<i64> = held.into_iter().collect();
        processor.discard(conn, &held)
    })?;
    match report.stop {
        None => Ok(resolved),
        Some(Stop::Outage(reason)) => Err(ResolveError::Unavailable(reason)),
        Some(Stop::Held(error)) => Err(ResolveError::Unavailable(error.to_string())),
    }
}

/// Sends messages to the dead letter topic; gives the indices of those that are acknowledged.
pub(super) fn bury(
    resolver: &Resolver,
    group: &Group,
    topic: &TopicRuntime,
    records: &[Arc<RawRecord>],
    dead: Vec<(usize, ConsumeError, u32)>,
) -> Vec<usize> {
    if dead.is_empty() {
        return Vec::new();
    }
    let environment = BatchEnvironment { cancel: resolver.0.stop.clone(), ..group.environment.clone() };
    resolver.0.runtime.block_on(batch::dead_letters(topic, records, dead, &environment))
}

/// A daemon's part in a model topic's transactions.
struct ParkedCaller<'a> {
    topic: &'a TopicRuntime,
    environment: &'a BatchEnvironment,
    processor: &'a dyn MessageProcessor,
    token: &'a str,
    ids: &'a [i64],
    messages: &'a [WaitingMessage],
    decisions: BTreeMap<usize, Decision>,
}

impl Caller for ParkedCaller<'_> {
    fn decide(&mut self, index: usize, error: &ConsumeError) -> Verdict {
        let attempts = self.messages[index].attempts.saturating_add(1);
        let decision = batch::decide(self.topic, &self.messages[index].record, error, attempts);
        self.decisions.insert(index, decision);
        match decision {
            // It stays where it is until it is due; others go on.
            Decision::Hold(_) | Decision::Hop { .. } | Decision::Skip | Decision::Superseded => Verdict::Settle,
            Decision::DeadLetter => Verdict::Leave,
        }
    }

    /// An attempt is counted also where it wrote nothing.
    fn commits_all(&self) -> bool {
        true
    }

    fn claimed(&self) -> Option<Claimed<'_>> {
        Some(Claimed { token: self.token, ids: self.ids, now_ms: self.environment.clock.now_ms() })
    }

    fn before_commit(&mut self, conn: &mut DbConn, covered: &Covered<'_>) -> Result<(), Refused> {
        for (index, error) in &covered.failed {
            let (id, attempts) = (self.ids[*index], self.messages[*index].attempts.saturating_add(1));
            let delay = match self.decisions.get(index) {
                Some(Decision::Hold(delay) | Decision::Hop { delay, .. }) => *delay,
                // It leaves as soon as its dead letter is acknowledged; if that fails, it is tried once more.
                _ => std::time::Duration::ZERO,
            };
            let delay_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
            let due_ms = self.environment.clock.now_ms().saturating_add(delay_ms);
            self.processor.failed(conn, id, attempts, &dead_letter::summary(error.error()), due_ms)?;
        }
        Ok(())
    }
}
