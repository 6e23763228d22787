//! A batch of messages that the user's code handles, one after the other.

use std::sync::Arc;
use std::time::Instant;

use super::{BatchEnvironment, CUSTOM_BATCH_TIME_MAX, Handled, Judge, Settled, catch_panic};
use crate::consumer::lane::Stop;
use crate::consumer::ledger::Trouble;
use crate::consumer::superseding::Superseding;
use crate::consumer::topic::{Handler, TopicRuntime};
use crate::error::{ConsumeError, ProduceError, RegistryAway};
use crate::record::RawRecord;
use crate::relations::{self, Admit, LaneGate};
use crate::retry::policy::{self, Decision};

pub(super) async fn run(
    topic: &Arc<TopicRuntime>,
    records: Arc<[Arc<RawRecord>]>,
    failures: u32,
    env: &BatchEnvironment,
) -> Handled {
    let Handler::Custom(handler) = &topic.handler else { return Handled::default() };
    let judge = Judge::new(topic, failures);
    let mut superseding = Superseding::new(topic, &records);
    let mut handled = Handled::default();
    let started = Instant::now();
    let mut gate = match LaneGate::open(&**handler, topic.related.as_ref(), &records, &env.context).await {
        Ok(gate) => gate,
        Err(trouble) => return Handled { stop: Some(stopped(topic, &trouble)), ..handled },
    };
    for (index, record) in records.iter().enumerate() {
        if env.cancel.is_cancelled() || (index > 0 && started.elapsed() > CUSTOM_BATCH_TIME_MAX) {
            handled.stop = Some(Stop::Cancelled);
            break;
        }
        let attempts = judge.attempts(index, record);
        // Of a message before, whose handler made the best of it.
        env.context.take_outage();
        let admit = match &mut gate {
            Some(gate) => gate.admit(index),
            None => Admit::Go(None),
        };
        let mut result = match admit {
            Admit::Go(storing) => {
                if let Some(storing) = storing
                    && let Err((first, trouble)) = storing.alone().await
                {
                    return handled.back_to(first.unwrap_or(index), stopped(topic, &trouble));
                }
                catch_panic(handler.consume(record.clone(), attempts - 1, &env.context)).await
            }
            Admit::Parked => {
                handled.tally.parked += 1;
                Ok(())
            }
            Admit::Failed(error) => Err(error),
            Admit::Wait(trouble) => {
                handled.stop = Some(stopped(topic, &trouble));
                break;
            }
        };
        if let (Err(error), Some(gate)) = (&result, &mut gate)
            && relations::violates_foreign_key(error)
        {
            match gate.waits_after_all(index).await {
                Ok(false) => {}
                Ok(true) => {
                    handled.tally.parked += 1;
                    result = Ok(());
                }
                Err(trouble) => {
                    handled.stop = Some(stopped(topic, &trouble));
                    break;
                }
            }
        }
        if let Err(error) = result {
            if let Some(stop) = not_its_own_fault(topic, &error, env) {
                handled.stop = Some(stop);
                break;
            }
            let decision = match superseding.ask(index, &error).await {
                Ok(true) => Decision::Superseded,
                Ok(false) => judge.decide(index, record, &error),
                Err(outage) => {
                    handled.stop = Some(outage);
                    break;
                }
            };
            match decision {
                Decision::Hold(delay) => {
                    handled.stop = Some(Stop::Retry(delay));
                    break;
                }
                Decision::Superseded => handled.superseded.push(index),
                decision => handled.settled.push(Settled { index, error, attempts, decision }),
            }
        }
        handled.count = index + 1;
    }
    if let Some(storing) = gate.as_mut().and_then(LaneGate::flush)
        && let Err((first, trouble)) = storing.alone().await
    {
        let first = first.unwrap_or(handled.count);
        return handled.back_to(first, stopped(topic, &trouble));
    }
    handled
}

impl Handled {
    /// As if it had ended before this message.
    fn back_to(mut self, first: usize, stop: Stop) -> Self {
        self.count = self.count.min(first);
        self.settled.retain(|settled| settled.index < first);
        self.superseded.retain(|index| *index < first);
        self.stop = Some(stop);
        self
    }
}

fn stopped(topic: &TopicRuntime, trouble: &Trouble) -> Stop {
    let Some(reason) = trouble.outage() else { return Stop::Cancelled };
    tracing::warn!(topic = topic.name, "the partition waits for the database: {reason}");
    Stop::Outage
}

/// Whether a handler failed because the database is away, the brokers are, or the partition is: the database and the
/// partition are judged themselves, whatever the error; the brokers by our own error among its causes.
pub(in crate::consumer) fn not_its_own_fault(
    topic: &TopicRuntime,
    error: &ConsumeError,
    env: &BatchEnvironment,
) -> Option<Stop> {
    if !env.context.may_commit() {
        return Some(Stop::Cancelled);
    }
    if policy::any_cause(error.error(), &|cause| cause.downcast_ref().is_some_and(ProduceError::is_outage)) {
        tracing::warn!(topic = topic.name, "the brokers are away, the partition waits: {error}");
        return Some(Stop::Outage);
    }
    if policy::any_cause(error.error(), &|cause| cause.is::<RegistryAway>()) {
        tracing::warn!(topic = topic.name, "the partition waits for the schema registry: {error}");
        return Some(Stop::Outage);
    }
    let reason = env.context.take_outage()?;
    tracing::warn!(topic = topic.name, "the partition waits for the database: {reason} (the handler: {error})");
    Some(Stop::Outage)
}
