//! One batch of one partition: handle it, decide about what failed, and see the dead letters acknowledged.

mod ahead;
mod custom;
mod drive;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

pub(super) use self::ahead::Decoding;
pub(super) use self::custom::not_its_own_fault;
pub(super) use self::drive::{catch_panic, join_all};
use super::fence::Permit;
use super::lane::{Batch, Stop};
use super::ledger::book::Book;
use super::superseding::Superseding;
use super::tally::Tally;
use super::topic::{Handler, TopicRuntime};
use crate::clock::Clock;
use crate::context::Context;
use crate::db::DbConn;
use crate::dead_letter;
use crate::error::{ConsumeError, ConsumeResult};
use crate::key_offset_tracker::{Followed, follow};
use crate::producer::{Outgoing, Producer, Suppression};
use crate::record::RawRecord;
use crate::retry::message as retry_message;
use crate::retry::policy::{self, Decision};
use crate::settings::Settings;
use crate::sync::{Caller, Covered, ModelRelation, Outcome, Refused, Stage, Stop as SyncStop, Verdict};
use crate::topic::CustomTopic;
use crate::topic::names::DerivedNames;
use crate::topic_admin::{Kind, TopicAdmin, Wanted};

/// How long a batch of handlers' messages goes on at most, beside its last message. Then what is done is stored and
/// the rest is a batch of its own: slow handlers must not hold back a rebalance, a shutdown or the commit of what
/// is done.
pub(super) const CUSTOM_BATCH_TIME_MAX: Duration = Duration::from_millis(500);

/// What a batch needs besides its messages.
#[derive(Clone)]
pub(crate) struct BatchEnvironment {
    pub(crate) consumer: Arc<str>,
    pub(crate) group: Arc<str>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) context: Context,
    pub(crate) producer: Producer,
    pub(crate) clock: Clock,
    pub(crate) topics: TopicAdmin,
    /// Asks the batch to end early.
    pub(crate) cancel: CancellationToken,
    /// Messages are written even where newer ones of their keys were: somebody has asked for it.
    pub(crate) forces: bool,
}

impl BatchEnvironment {
    /// The environment of one batch: `cancel` ends it, `permit` lets it commit.
    pub(crate) fn for_batch(&self, cancel: CancellationToken, permit: Permit) -> Self {
        Self { cancel, context: self.context.with_permit(permit), ..self.clone() }
    }
}

/// How far a batch came.
#[derive(Debug, Default)]
pub(crate) struct BatchResult {
    pub(crate) handled: usize,
    pub(crate) dead_lettered: usize,
    pub(crate) retried: usize,
    pub(crate) superseded: usize,
    /// Where the partition stands, if the database says so.
    pub(crate) reached: Option<i64>,
    pub(crate) stop: Option<Stop>,
    pub(crate) tally: Tally,
}

/// A message that failed, and leaves the partition: for a retry topic, for the dead letter topic, or for nowhere.
pub(super) struct Settled {
    pub(super) index: usize,
    pub(super) error: ConsumeError,
    pub(super) attempts: u32,
    pub(super) decision: Decision,
}

/// What the handlers made of a batch, before its dead letters are sent.
#[derive(Default)]
pub(super) struct Handled {
    pub(super) count: usize,
    pub(super) settled: Vec<Settled>,
    /// Messages that were skipped because newer ones of their keys were there.
    pub(super) superseded: Vec<usize>,
    pub(super) stop: Option<Stop>,
    pub(super) tally: Tally,
}

/// Handles a batch. `decoding`: of its messages, begun before its turn.
pub(crate) async fn run(
    topic: Arc<TopicRuntime>,
    batch: Batch,
    decoding: Option<Decoding>,
    env: BatchEnvironment,
) -> BatchResult {
    let records: Arc<[Arc<RawRecord>]> = batch.records.into();
    let handled = handle(&topic, &records, batch.failures, decoding, &env).await;
    settle(&topic, &records, handled, &env).await
}

/// Has messages handled, and decides about those that fail: nothing leaves. `failures`: of the first one, before.
pub(super) async fn handle(
    topic: &Arc<TopicRuntime>,
    records: &Arc<[Arc<RawRecord>]>,
    failures: u32,
    decoding: Option<Decoding>,
    env: &BatchEnvironment,
) -> Handled {
    let handling = async {
        match &topic.handler {
            Handler::Custom(_) => custom::run(topic, records.clone(), failures, env).await,
            Handler::Models(_) => run_models(topic.clone(), records.clone(), failures, decoding, env, None).await.0,
            Handler::KeyOffsets(_) => run_key_offsets(topic.clone(), records.clone(), env).await,
        }
    };
    let started = Instant::now();
    let mut handled = topic.suppression.clone().scope(handling).await;
    if !matches!(topic.handler, Handler::Models(_)) {
        handled.tally.stages.add(Stage::Handle, started.elapsed());
    }
    handled
}

/// Decoding and writing block, so they run on a blocking thread. A book comes back, unless the batch's thread died.
pub(super) async fn run_models(
    topic: Arc<TopicRuntime>,
    records: Arc<[Arc<RawRecord>]>,
    failures: u32,
    decoding: Option<Decoding>,
    env: &BatchEnvironment,
    book: Option<Book>,
) -> (Handled, Option<Book>) {
    let outage = || Handled { stop: Some(Stop::Outage), ..Handled::default() };
    let Some(database) = env.context.database().cloned() else {
        // Start-up refuses models without a database.
        return (outage(), book);
    };
    let (cx, topics, forces) = (env.context.clone(), env.topics.clone(), env.forces);
    let ahead = ahead::taken(decoding).await;
    let work = move || {
        let Handler::Models(sync) = &topic.handler else { return (Handled::default(), book) };
        let judge = Judge::new(&topic, failures);
        let superseding = Superseding::new(&topic, &records);
        let decisions = Vec::new();
        let mut caller = LaneCaller { judge, superseding, records: &records, cx: &cx, topics, decisions, forces, book };
        let report = sync.apply_decoded(&database, &records, ahead, &mut caller);
        let mut handled = Handled { count: report.outcomes.len(), ..Handled::default() };
        handled.tally.stages = report.stages;
        for (index, outcome) in report.outcomes.into_iter().enumerate() {
            match (outcome, caller.decision_of(index)) {
                (Outcome::Superseded(_), _) | (Outcome::Failed(_), Some(Decision::Superseded)) => {
                    handled.superseded.push(index);
                }
                (Outcome::Parked, _) => handled.tally.parked += 1,
                (Outcome::Failed(error), decision) => {
                    let attempts = caller.judge.attempts(index, &records[index]);
                    let decision = decision.unwrap_or(Decision::DeadLetter);
                    handled.settled.push(Settled { index, error, attempts, decision });
                }
                _ => {}
            }
        }
        handled.stop = report.stop.map(|stop| match stop {
            SyncStop::Held(_) => match caller.decision_of(handled.count) {
                Some(Decision::Hold(delay)) => Stop::Retry(delay),
                _ => Stop::Outage,
            },
            SyncStop::Outage(_) if !cx.may_commit() || caller.book.as_ref().is_some_and(Book::refused) => {
                Stop::Cancelled
            }
            SyncStop::Outage(reason) => {
                tracing::warn!(topic = topic.name, "the partition waits for the database: {reason}");
                Stop::Outage
            }
        });
        (handled, caller.book)
    };
    let suppression = Suppression::current();
    match tokio::task::spawn_blocking(move || suppression.sync_scope(work)).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!("a batch ended by a fault of ours and is tried again: {error}");
            (outage(), None)
        }
    }
}

/// The key offset tracker's own batches: no message fails in them.
async fn run_key_offsets(topic: Arc<TopicRuntime>, records: Arc<[Arc<RawRecord>]>, env: &BatchEnvironment) -> Handled {
    let (cx, count) = (env.context.clone(), records.len());
    let work = move || match &topic.handler {
        Handler::KeyOffsets(watermarks) => follow(&records, watermarks, &cx),
        _ => Followed::Done,
    };
    let stop = match tokio::task::spawn_blocking(work).await {
        Ok(Followed::Done) => return Handled { count, ..Handled::default() },
        Ok(Followed::NotOurs) => Stop::Cancelled,
        Ok(Followed::Outage(reason)) => {
            tracing::warn!(consumer = &*env.consumer, "the partition waits for the database: {reason}");
            Stop::Outage
        }
        Err(error) => {
            tracing::error!("a batch ended by a fault of ours and is tried again: {error}");
            Stop::Outage
        }
    };
    Handled { stop: Some(stop), ..Handled::default() }
}

/// A lane's part in a model topic's transactions.
struct LaneCaller<'a> {
    judge: Judge<'a>,
    superseding: Superseding,
    records: &'a [Arc<RawRecord>],
    cx: &'a Context,
    topics: TopicAdmin,
    /// In the order in which they were asked for; the last one of a message counts.
    decisions: Vec<(usize, Decision)>,
    forces: bool,
    /// Where offsets are in the database.
    book: Option<Book>,
}

impl LaneCaller<'_> {
    fn decision_of(&self, index: usize) -> Option<Decision> {
        decision_of(&self.decisions, index)
    }
}

fn decision_of(decisions: &[(usize, Decision)], index: usize) -> Option<Decision> {
    decisions.iter().rev().find(|(i, _)| *i == index).map(|(_, decision)| *decision)
}

impl Caller for LaneCaller<'_> {
    fn decide(&mut self, index: usize, error: &ConsumeError) -> Verdict {
        let decision = match self.superseding.ask_blocking(index, error) {
            Ok(true) => Decision::Superseded,
            Ok(false) => self.judge.decide(index, &self.records[index], error),
            // Held without a decision: an outage.
            Err(_) => {
                self.decisions.retain(|(decided, _)| *decided != index);
                return Verdict::Hold;
            }
        };
        self.decisions.push((index, decision));
        match decision {
            Decision::Hold(_) => Verdict::Hold,
            Decision::Hop { .. } | Decision::DeadLetter => Verdict::Leave,
            Decision::Skip | Decision::Superseded => Verdict::Settle,
        }
    }

    fn forces(&self, _index: usize) -> bool {
        self.forces
    }

    fn comes_back(&self, index: usize) -> bool {
        matches!(self.decision_of(index), Some(Decision::Hop { .. }))
    }

    fn end_of(&mut self, topic: &str, partition: i32) -> Option<i64> {
        self.topics.end_of(topic, partition)
    }

    fn commits_all(&self) -> bool {
        self.book.is_some()
    }

    fn before_commit(&mut self, conn: &mut DbConn, covered: &Covered<'_>) -> Result<(), Refused> {
        if let Some(book) = &mut self.book {
            let (judge, records, decisions) = (&self.judge, self.records, &self.decisions);
            let decided = |index: usize| {
                let decision = decision_of(decisions, index).unwrap_or(Decision::DeadLetter);
                (decision, judge.attempts(index, &records[index]))
            };
            book.write(conn, records, covered, decided)?;
        }
        // The last moment before the commit.
        if self.cx.may_commit() { Ok(()) } else { Err(Refused::NotOurs("the partition is no longer ours".to_owned())) }
    }

    fn committed(&mut self, upto: usize) {
        if let Some(book) = &mut self.book {
            book.committed(upto);
        }
    }
}

/// Decides about failures, in the order in which they come.
pub(super) struct Judge<'t> {
    topic: &'t TopicRuntime,
    /// How often the first message had failed before.
    failures_before: u32,
}

impl<'t> Judge<'t> {
    pub(super) fn new(topic: &'t TopicRuntime, failures_before: u32) -> Self {
        Self { topic, failures_before }
    }

    /// Which attempt this is, from 1: the retry topics that the message came through count.
    pub(super) fn attempts(&self, index: usize, record: &RawRecord) -> u32 {
        let in_place = if index == 0 { self.failures_before } else { 0 };
        record.retry_number().saturating_add(in_place).saturating_add(1)
    }

    pub(super) fn decide(&self, index: usize, record: &RawRecord, error: &ConsumeError) -> Decision {
        decide(self.topic, record, error, self.attempts(index, record))
    }
}

/// Decides about a failed message, by its topic's settings.
pub(crate) fn decide(topic: &TopicRuntime, record: &RawRecord, error: &ConsumeError, attempts: u32) -> Decision {
    let decision = policy::decide(topic.retry.as_ref(), error, attempts, spread());
    let is_logged = topic.retry.is_some_and(|retry| policy::is_logged(&retry, attempts));
    let (topic, partition, offset) = (&*record.topic, record.partition, record.offset);
    match decision {
        Decision::Hold(delay) | Decision::Hop { delay, .. } if is_logged => {
            tracing::warn!(topic, partition, offset, attempts, ?delay, "retried: {error}");
        }
        Decision::Hold(delay) | Decision::Hop { delay, .. } => {
            tracing::debug!(topic, partition, offset, attempts, ?delay, "retried: {error}");
        }
        Decision::Skip => tracing::info!(topic, partition, offset, "skipped: {error}"),
        Decision::DeadLetter | Decision::Superseded => {}
    }
    decision
}

/// Sends messages that failed (by their index, with their attempts) to the dead letter topic; gives those that the
/// broker has acknowledged.
pub(crate) async fn dead_letters(
    topic: &TopicRuntime,
    records: &[Arc<RawRecord>],
    failed: Vec<(usize, ConsumeError, u32)>,
    env: &BatchEnvironment,
) -> Vec<usize> {
    let indices: Vec<usize> = failed.iter().map(|(index, ..)| *index).collect();
    let settled = failed.into_iter().map(|(index, error, attempts)| Settled {
        index,
        error,
        attempts,
        decision: Decision::DeadLetter,
    });
    let handled = Handled { count: records.len(), settled: settled.collect(), ..Handled::default() };
    let handled = settle(topic, records, handled, env).await.handled;
    indices.into_iter().filter(|index| *index < handled).collect()
}

/// Asks the user's code for the rows that a message refers to; `None`: it declares none. A panic is the message's
/// failure.
pub(crate) async fn relations(
    handler: &dyn CustomTopic,
    record: Arc<RawRecord>,
    context: &Context,
) -> Result<Option<Vec<ModelRelation>>, ConsumeError> {
    catch_panic(handler.relations(record, context)).await
}

/// Has a message handled by the user's code. A panic is the message's failure.
pub(crate) async fn call(
    handler: &dyn CustomTopic,
    record: Arc<RawRecord>,
    attempt: u32,
    context: &Context,
) -> ConsumeResult {
    catch_panic(handler.consume(record, attempt, context)).await
}

/// How many of them go nowhere.
pub(super) fn skipped(settled: &[Settled]) -> usize {
    settled.iter().filter(|settled| settled.decision == Decision::Skip).count()
}

/// Sends the retries and the dead letters and waits for them all. Until then none of them counts as handled.
async fn settle(
    topic: &TopicRuntime,
    records: &[Arc<RawRecord>],
    handled: Handled,
    env: &BatchEnvironment,
) -> BatchResult {
    let superseded_before = |end: usize| handled.superseded.iter().filter(|index| **index < end).count();
    let mut result = BatchResult {
        handled: handled.count,
        superseded: superseded_before(handled.count),
        stop: handled.stop,
        tally: Tally { skipped: skipped(&handled.settled), ..handled.tally },
        ..BatchResult::default()
    };
    if !env.context.may_commit()
        && let Some(first) = handled.settled.first()
    {
        // The new owner handles them: what failed here may have failed for that very reason.
        let superseded = superseded_before(first.index);
        return BatchResult { handled: first.index, superseded, stop: Some(Stop::Cancelled), ..result };
    }
    let (mut leaving, mut outgoing) = (Vec::new(), Vec::new());
    for settled in &handled.settled {
        let Settled { index, error, attempts, decision } = settled;
        if let Some(message) = outgoing_of(&records[*index], error, *attempts, *decision, env) {
            leaving.push(settled);
            outgoing.push(message);
        }
    }
    let topics = leaving.iter().zip(&outgoing).map(|(s, message)| wanted(&records[s.index], s, message, topic));
    if let Some(first) = leaving.first()
        && !create(&topics.collect::<Vec<_>>(), env).await
    {
        return BatchResult { handled: first.index, stop: Some(Stop::Cancelled), ..result };
    }
    // All are queued at once and awaited together; the producer keeps their order.
    let mut sends = Vec::with_capacity(outgoing.len());
    for message in &outgoing {
        sends.push(Box::pin(deliver(message, env)) as Pin<Box<dyn Future<Output = Result<(), Stop>> + Send + '_>>);
    }
    let delivered = join_all(sends).await;
    for (settled, delivered) in leaving.iter().zip(delivered) {
        if let Err(stop) = delivered {
            result.handled = settled.index;
            result.stop = Some(stop);
            result.superseded = superseded_before(settled.index);
            return result;
        }
        if settled.decision == Decision::DeadLetter {
            say_dead_letter(topic, &records[settled.index], settled, env);
            result.dead_lettered += 1;
        } else {
            result.retried += 1;
        }
    }
    result
}

/// Creates the topics that messages leave for, before a message makes the broker create them in its own way, by which
/// a dead letter would be gone after a week; `false`: the batch was told to end.
pub(super) async fn create(topics: &[Wanted], env: &BatchEnvironment) -> bool {
    const WAIT_MAX: Duration = Duration::from_secs(30);
    let mut wait = Duration::from_millis(200);
    loop {
        let created = tokio::select! {
            created = env.topics.ensure(topics) => created,
            () = env.cancel.cancelled() => return false,
        };
        let Err(reason) = created else { return !env.cancel.is_cancelled() };
        tracing::error!("no topic for a retry or dead letter, its partition waits: {reason}; tried again in {wait:?}");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = env.cancel.cancelled() => return false,
        }
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// The topic that a message leaves for.
fn wanted(record: &RawRecord, settled: &Settled, message: &Outgoing, topic: &TopicRuntime) -> Wanted {
    let origin = record.origin().topic.to_string();
    let kind = match settled.decision {
        Decision::Hop { .. } => {
            let horizon = topic.retry.map_or(Duration::ZERO, |retry| retry.horizon());
            Kind::Retry { origin, horizon }
        }
        _ => Kind::DeadLetter { origin },
    };
    Wanted { name: message.topic.clone(), kind }
}

pub(super) fn say_dead_letter(topic: &TopicRuntime, record: &RawRecord, settled: &Settled, env: &BatchEnvironment) {
    let origin = record.origin();
    tracing::error!(
        consumer = &*env.consumer,
        topic = &*origin.topic,
        declared_as = topic.type_name,
        partition = origin.partition,
        offset = origin.offset,
        attempts = settled.attempts,
        "sent to the dead letter topic: {}",
        settled.error
    );
}

/// Where a failed message goes; `None`: nowhere, it is skipped.
///
/// It gets the time of now: a topic's retention goes by it, and an old message must not be gone on arrival. Its own
/// time is in a header.
pub(super) fn outgoing_of(
    record: &RawRecord,
    error: &ConsumeError,
    attempts: u32,
    decision: Decision,
    env: &BatchEnvironment,
) -> Option<Outgoing> {
    let origin = record.origin();
    let names = DerivedNames { group: &env.group, topic: &origin.topic, suffixes: env.settings.suffixes() };
    let (topic, headers) = match decision {
        Decision::DeadLetter => {
            let headers = dead_letter::headers(record, error, &env.group, attempts);
            (names.dead_letter_topic(), headers)
        }
        Decision::Hop { number, delay } => {
            let due_ms = env.clock.now_ms().saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
            (names.retry_topic(number), retry_message::headers(record, error, due_ms))
        }
        Decision::Skip | Decision::Superseded | Decision::Hold(_) => return None,
    };
    Some(Outgoing {
        topic,
        partition: None,
        timestamp_ms: None,
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
    })
}

/// Produces until the broker has it.
///
/// # Errors
/// The batch was told to end, or the producer is of no more use.
///
/// A broker that refuses the size gets the message without its detail. What it still refuses holds the partition
/// here, loudly: the only alternative would be to lose it.
pub(super) async fn deliver(message: &Outgoing, env: &BatchEnvironment) -> Result<(), Stop> {
    const WAIT_MAX: Duration = Duration::from_secs(30);
    let mut message = std::borrow::Cow::Borrowed(message);
    let mut wait = Duration::from_millis(200);
    loop {
        let sent = tokio::select! {
            biased;
            sent = env.producer.send(&message) => sent,
            () = env.cancel.cancelled() => return Err(Stop::Cancelled),
        };
        let Err(refused) = sent else { return Ok(()) };
        if refused.is_fatal() {
            return Err(Stop::Fatal(refused.to_string()));
        }
        if refused.is_size() {
            let fewer = dead_letter::without_detail(&message.headers);
            if fewer.len() < message.headers.len() {
                message.to_mut().headers = fewer;
                continue;
            }
        }
        tracing::error!("a retry or dead letter is not taken, its partition waits: {refused}; tried again in {wait:?}");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = env.cancel.cancelled() => return Err(Stop::Cancelled),
        }
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// A number in `0.0..1.0`, random enough to spread retries.
fn spread() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(()) >> 11) as f64 / (1_u64 << 53) as f64
}
