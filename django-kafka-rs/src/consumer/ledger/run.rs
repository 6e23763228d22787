//! One batch of a consumer whose offsets are in the database, from end to end: what is committed, and what is produced
//! after it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use super::super::batch::{
    self, BatchEnvironment, BatchResult, CUSTOM_BATCH_TIME_MAX, Decoding, Handled, Judge, Settled, catch_panic,
    deliver, join_all, not_its_own_fault,
};
use super::super::lane::{Batch, Stop};
use super::super::superseding::Superseding;
use super::super::tally::Tally;
use super::super::topic::{Handler, TopicRuntime};
use super::book::{Book, done_with, note_failed, position_after};
use super::{Entry, Found, Leaving, Share, Trouble};
use crate::context::Context;
use crate::db::joined::{Joined, Slot};
use crate::db::{WriterGuard, failure, transaction};
use crate::error::ConsumeError;
use crate::record::RawRecord;
use crate::relations::{self, Admit, LaneGate, Storing};
use crate::retry::policy::Decision;
use crate::sync::Stage;
use crate::topic::CustomTopic;
use crate::topic::names::original_of;
use crate::topic_admin::{Kind, Wanted};

/// Handles a batch; one without messages claims the partition. `decoding`: of its messages, begun before its turn.
pub(crate) async fn run(
    topic: Arc<TopicRuntime>,
    batch: Batch,
    decoding: Option<Decoding>,
    env: BatchEnvironment,
    share: Arc<Share>,
) -> BatchResult {
    let desk = Desk { topic, env, share };
    if batch.records.is_empty() {
        return desk.claim().await;
    }
    match desk.settle_doubt().await {
        Ok(None) => {}
        Ok(Some(found)) => return desk.go_on_from(found, &batch.records).await,
        Err(trouble) => return desk.stopped(&trouble).into(),
    }
    let work = match desk.work(batch).await {
        Ok(work) => work,
        Err(result) => return result,
    };
    // Until the end is known: a task that dies in the middle leaves it so.
    desk.share.doubt();
    let handling = async {
        match &desk.topic.handler {
            Handler::Custom(handler) => {
                let started = Instant::now();
                let mut done = desk.custom(handler, &work).await;
                done.tally.stages.add(Stage::Handle, started.elapsed());
                Some(done)
            }
            Handler::Models(_) => Some(desk.models(&work, decoding).await),
            // Its own consumer keeps its offsets in Kafka.
            Handler::KeyOffsets(_) => None,
        }
    };
    match desk.topic.suppression.clone().scope(handling).await {
        Some(done) => desk.conclude(&work, done).await,
        None => Stop::Outage.into(),
    }
}

/// The messages of a batch that are to be handled.
struct Work {
    /// All of them.
    all: Vec<Arc<RawRecord>>,
    /// Without copies of what is done with.
    records: Arc<[Arc<RawRecord>]>,
    /// How often the first of them has failed already.
    failures: u32,
}

impl Work {
    /// Where the partition stands when the first `count` are done.
    fn position_after(&self, count: usize) -> i64 {
        position_after(&self.records, count, self.end())
    }

    fn end(&self) -> i64 {
        self.all.last().map_or(0, |record| record.offset + 1)
    }
}

/// What became of a batch, before what left it is produced.
struct Done {
    entry: Entry,
    settled: Vec<Settled>,
    /// Messages that were skipped because newer ones of their keys were there.
    superseded: Vec<usize>,
    stop: Option<Stop>,
    tally: Tally,
}

impl Done {
    fn new(entry: Entry) -> Self {
        Self { entry, settled: Vec::new(), superseded: Vec::new(), stop: None, tally: Tally::default() }
    }
}

/// Why a message's transaction was not committed.
enum Refusal {
    /// By its own fault.
    Message(ConsumeError),
    Trouble(Trouble),
}

/// What a batch is handled with.
struct Desk {
    topic: Arc<TopicRuntime>,
    env: BatchEnvironment,
    share: Arc<Share>,
}

impl Desk {
    /// Takes the partition over, and delivers what its last owner left behind.
    async fn claim(&self) -> BatchResult {
        let (share, cx) = (self.share.clone(), self.env.context.clone());
        match blocking(move || share.claim(|| cx.may_commit())).await {
            Ok(found) => {
                let (topic, partition) = &self.share.id;
                tracing::debug!(topic = &**topic, partition, position = found.position, "claimed in the database");
                self.go_on_from(found, &[]).await
            }
            // Not at once: whether it is ours shows with time.
            Err(Trouble::NotOurs) => Stop::Fenced.into(),
            Err(trouble) => self.stopped(&trouble).into(),
        }
    }

    async fn settle_doubt(&self) -> Result<Option<Found>, Trouble> {
        let share = self.share.clone();
        blocking(move || share.settle_doubt()).await
    }

    /// Delivers what is under way; the lane goes on from where the database says.
    async fn go_on_from(&self, found: Found, records: &[Arc<RawRecord>]) -> BatchResult {
        let (_, stop) = self.send(&found.outgoing).await;
        BatchResult {
            handled: records.iter().filter(|record| record.offset < found.position).count(),
            reached: Some(found.position),
            stop,
            ..BatchResult::default()
        }
    }

    /// Leaves copies of what is done with out of a batch. `Err`: the batch ends here.
    async fn work(&self, batch: Batch) -> Result<Work, BatchResult> {
        let Batch { records: all, failures } = batch;
        let is_retry = all.iter().any(|record| record.retried.is_some());
        if !is_retry {
            return Ok(Work { records: all.clone().into(), all, failures });
        }
        let (share, asked) = (self.share.clone(), all.clone());
        let repeated = blocking(move || share.repeated(&asked).map_err(Trouble::from)).await;
        let repeated = repeated.map_err(|trouble| BatchResult::from(self.stopped(&trouble)))?;
        // Of two copies in one batch the first stands for both, whatever becomes of it.
        let mut seen = repeated;
        let records: Vec<Arc<RawRecord>> = all.iter().filter(|record| seen.insert(record.origin())).cloned().collect();
        if records.len() < all.len() {
            let (topic, partition) = (&*self.share.id.0, self.share.id.1);
            let copies = all.len() - records.len();
            tracing::info!(topic, partition, "{copies} copies of messages that are done with are skipped");
        }
        let first =
            records.first().map_or(all.len(), |first| all.iter().take_while(|r| r.offset < first.offset).count());
        if first > 0 {
            // By themselves, so that what is at the head is what is counted.
            let mut entry = Entry::new(self.share.clone());
            entry.reach(position_after(&all, first, all[first - 1].offset + 1));
            let (entry, stop) = self.write_rest(entry).await;
            let position = entry.position();
            let handled = all.iter().filter(|record| record.offset < position).count();
            return Err(BatchResult { handled, reached: Some(position), stop, ..BatchResult::default() });
        }
        Ok(Work { all, records: records.into(), failures })
    }

    /// Each message's database work is one transaction, with its position. Of messages that do none the position goes
    /// along with the next one's, or at the end.
    #[expect(clippy::too_many_lines, reason = "one message's ways out, in the order in which they are asked for")]
    async fn custom(&self, handler: &Arc<dyn CustomTopic>, work: &Work) -> Done {
        let env = &self.env;
        let judge = Judge::new(&self.topic, work.failures);
        let mut superseding = Superseding::new(&self.topic, &work.records);
        let mut done = Done::new(Entry::new(self.share.clone()));
        let started = Instant::now();
        let mut gate = match LaneGate::open(&**handler, self.topic.related.as_ref(), &work.records, &env.context).await
        {
            Ok(gate) => gate,
            Err(trouble) => return Done { stop: Some(self.stopped(&trouble)), ..done },
        };
        for (index, record) in work.records.iter().enumerate() {
            if env.cancel.is_cancelled() || (index > 0 && started.elapsed() > CUSTOM_BATCH_TIME_MAX) {
                done.stop = Some(Stop::Cancelled);
                break;
            }
            let attempts = judge.attempts(index, record);
            // Of a message before, whose handler made the best of it.
            env.context.take_outage();
            let admit = match &mut gate {
                Some(gate) => gate.admit(index),
                None => Admit::Go(None),
            };
            let refusal = match admit {
                Admit::Go(storing) => {
                    if let Some(storing) = storing {
                        // A handler sees what is before it, and its transaction may be taken back.
                        let (entry, stop) = self.store(done.entry, storing).await;
                        done.entry = entry;
                        if stop.is_some() {
                            return Done { stop, ..done };
                        }
                    }
                    let joined = Joined::default();
                    let cx = env.context.with_joined(joined.clone());
                    let result = catch_panic(handler.consume(record.clone(), attempts - 1, &cx)).await;
                    let before = done.entry.mark();
                    done_with(&mut done.entry, record, work.position_after(index + 1));
                    let (entry, ended) = self.end_transaction(done.entry, joined.end().await, result).await;
                    done.entry = entry;
                    match ended {
                        Ok(()) => continue,
                        Err(refusal) => {
                            done.entry.back_to(before);
                            refusal
                        }
                    }
                }
                Admit::Parked => {
                    done.tally.parked += 1;
                    done_with(&mut done.entry, record, work.position_after(index + 1));
                    continue;
                }
                Admit::Failed(error) => Refusal::Message(error),
                Admit::Wait(trouble) => {
                    done.stop = Some(self.stopped(&trouble));
                    break;
                }
            };
            let error = match refusal {
                Refusal::Message(error) => error,
                // What is pending is not written either: it is handled again.
                Refusal::Trouble(trouble) => {
                    done.stop = Some(self.stopped(&trouble));
                    return done;
                }
            };
            if let Some(gate) = &mut gate
                && relations::violates_foreign_key(&error)
            {
                match gate.waits_after_all(index).await {
                    Ok(false) => {}
                    Ok(true) => {
                        done.tally.parked += 1;
                        done_with(&mut done.entry, record, work.position_after(index + 1));
                        continue;
                    }
                    Err(trouble) => {
                        done.stop = Some(self.stopped(&trouble));
                        break;
                    }
                }
            }
            if let Some(stop) = not_its_own_fault(&self.topic, &error, env) {
                done.stop = Some(stop);
                break;
            }
            let decision = match superseding.ask(index, &error).await {
                Ok(true) => Decision::Superseded,
                Ok(false) => judge.decide(index, record, &error),
                Err(outage) => {
                    done.stop = Some(outage);
                    break;
                }
            };
            if let Decision::Hold(delay) = decision {
                done.stop = Some(Stop::Retry(delay));
                break;
            }
            note_failed(&mut done.entry, record, &error, attempts, decision, env);
            done.entry.reach(work.position_after(index + 1));
            match decision {
                Decision::Superseded => done.superseded.push(index),
                decision => done.settled.push(Settled { index, error, attempts, decision }),
            }
        }
        let (entry, stop) = match gate.as_mut().and_then(LaneGate::flush) {
            Some(storing) => self.store(done.entry, storing).await,
            None => self.write_rest(done.entry).await,
        };
        Done { entry, stop: stop.or(done.stop), ..done }
    }

    /// Stores messages that wait, with what is pending: their positions are among it.
    async fn store(&self, entry: Entry, storing: Storing) -> (Entry, Option<Stop>) {
        let (entry, stored) = blocking_with(entry, move |entry| storing.write(Some(entry))).await;
        (entry, stored.err().map(|trouble| self.stopped(&trouble)))
    }

    /// Commits what a handler did, with what is pending, or takes it back.
    async fn end_transaction(
        &self,
        entry: Entry,
        slot: Slot,
        result: Result<(), ConsumeError>,
    ) -> (Entry, Result<(), Refusal>) {
        match (result, slot) {
            (Ok(()), Slot::Unused | Slot::Ended) => (entry, Ok(())),
            (Ok(()), Slot::Lost(lost)) if lost.is_outage => {
                (entry, Err(Refusal::Trouble(Trouble::Outage(lost.reason))))
            }
            (Ok(()), Slot::Lost(lost)) => (entry, Err(Refusal::Message(lost.reason.into()))),
            (Ok(()), Slot::Open(conn)) => {
                let cx = self.env.context.clone();
                blocking_with(entry, move |entry| commit(conn, entry, &cx)).await
            }
            (Err(error), Slot::Open(conn)) => {
                blocking(move || roll_back(conn)).await;
                (entry, Err(Refusal::Message(error)))
            }
            (Err(error), _) => (entry, Err(Refusal::Message(error))),
        }
    }

    /// Writes what is pending in a transaction of its own.
    async fn write_rest(&self, entry: Entry) -> (Entry, Option<Stop>) {
        if !entry.is_pending() {
            return (entry, None);
        }
        let cx = self.env.context.clone();
        let (entry, written) = blocking_with(entry, move |entry| entry.write_alone(|| cx.may_commit())).await;
        (entry, written.err().map(|trouble| self.stopped(&trouble)))
    }

    async fn models(&self, work: &Work, decoding: Option<Decoding>) -> Done {
        let book = Book::new(Entry::new(self.share.clone()), work.end(), self.env.clone());
        let (topic, records) = (self.topic.clone(), work.records.clone());
        let (handled, book) = batch::run_models(topic, records, work.failures, decoding, &self.env, Some(book)).await;
        let Handled { settled, superseded, mut stop, tally, .. } = handled;
        let Some(book) = book else {
            // Its task died: what it has committed is looked up.
            return Done { stop: Some(Stop::Outage), ..Done::new(Entry::new(self.share.clone())) };
        };
        if let Some(trouble) = &book.trouble {
            stop = Some(self.stopped(trouble));
        }
        Done { entry: book.entry, settled, superseded, stop, tally }
    }

    /// Produces what has left, and says how far the partition is handled.
    async fn conclude(&self, work: &Work, done: Done) -> BatchResult {
        let Done { mut entry, settled, superseded, mut stop, tally } = done;
        let position = entry.position();
        if stop != Some(Stop::Outage) {
            self.share.trust();
        }
        let leaving = entry.take_leaving();
        let (arrived, not_sent) = self.send(&leaving).await;
        if stop != Some(Stop::Fenced) {
            stop = not_sent.or(stop);
        }
        let mut result = BatchResult {
            handled: work.all.iter().filter(|record| record.offset < position).count(),
            reached: Some(position),
            stop,
            tally: Tally { skipped: batch::skipped(&settled), ..tally },
            ..BatchResult::default()
        };
        let is_done = |index: &&usize| work.records[**index].offset < position;
        result.superseded = superseded.iter().filter(is_done).count();
        for settled in &settled {
            let record = &work.records[settled.index];
            if !arrived.iter().any(|leaving| leaving.offset == record.offset) {
                continue;
            }
            if settled.decision == Decision::DeadLetter {
                batch::say_dead_letter(&self.topic, record, settled, &self.env);
                result.dead_lettered += 1;
            } else {
                result.retried += 1;
            }
        }
        result
    }

    /// Produces these messages and waits for them all; gives those that have arrived, up to the first that has not, and
    /// what the lane is to do then. The rest is delivered by whoever has the partition next.
    async fn send<'l>(&self, leaving: &'l [Leaving]) -> (&'l [Leaving], Option<Stop>) {
        if leaving.is_empty() {
            return (leaving, None);
        }
        // Else the new owner delivers them. What came much later could be a copy of what nobody remembers any more.
        let topics: Vec<Wanted> = leaving.iter().map(|leaving| self.wanted(&leaving.message.topic)).collect();
        if !self.env.context.may_commit() || !batch::create(&topics, &self.env).await {
            self.share.doubt();
            return (&[], Some(Stop::Cancelled));
        }
        type Send<'m> = Pin<Box<dyn Future<Output = Result<(), Stop>> + std::marker::Send + 'm>>;
        let sends = leaving.iter().map(|leaving| -> Send<'_> { Box::pin(deliver(&leaving.message, &self.env)) });
        let delivered = join_all(sends.collect()).await;
        let count = delivered.iter().take_while(|delivered| delivered.is_ok()).count();
        let arrived = &leaving[..count];
        if let Some(last) = arrived.last() {
            let (share, upto) = (self.share.clone(), last.offset);
            blocking(move || share.arrived(upto)).await;
        }
        let stop = delivered.into_iter().find_map(Result::err);
        if stop.is_some() {
            self.share.doubt();
        }
        (arrived, stop)
    }

    /// The topic that a message leaves for.
    fn wanted(&self, target: &str) -> Wanted {
        let original = |topic: &str| {
            original_of(topic, &self.env.group, &self.env.settings.retry_topic_suffix).map(|name| name.topic.to_owned())
        };
        let origin = original(&self.share.id.0).unwrap_or_else(|| self.share.id.0.to_string());
        let kind = match original(target) {
            Some(_) => {
                let horizon = self.topic.retry.map(|retry| retry.horizon()).unwrap_or_default();
                Kind::Retry { origin, horizon }
            }
            None => Kind::DeadLetter { origin },
        };
        Wanted { name: target.to_owned(), kind }
    }

    /// Says why nothing more is committed, and what the lane is to do.
    fn stopped(&self, trouble: &Trouble) -> Stop {
        let (topic, partition) = (&*self.share.id.0, self.share.id.1);
        match trouble {
            Trouble::Fenced => {
                tracing::warn!(
                    topic,
                    partition,
                    "another process has claimed this partition in the database: what was in hand is rolled back; it \
                     is claimed again if the group still gives it to this process"
                );
                Stop::Fenced
            }
            Trouble::Repeated | Trouble::NotOurs => Stop::Cancelled,
            Trouble::Outage(_) | Trouble::Database(_) => {
                self.share.doubt();
                let reason = trouble.outage().unwrap_or_default();
                tracing::warn!(topic, partition, "the partition waits for the database: {reason}");
                Stop::Outage
            }
        }
    }
}

/// The database refuses the transaction as a whole.
#[derive(Debug, thiserror::Error)]
#[error("the transaction cannot be committed: {0}")]
struct CannotCommit(#[source] diesel::result::Error);

/// Commits a handler's transaction, with what is pending.
fn commit(mut conn: WriterGuard, entry: &mut Entry, cx: &Context) -> Result<(), Refusal> {
    let of_message = |error: diesel::result::Error| match failure::classify(&error).outage(&error) {
        Some(reason) => Refusal::Trouble(Trouble::Outage(reason)),
        None => Refusal::Message(CannotCommit(error).into()),
    };
    let committed = transaction::check_open(&mut conn).map_err(of_message).and_then(|()| {
        entry.write(&mut conn).map_err(Refusal::Trouble)?;
        if !cx.may_commit() {
            return Err(Refusal::Trouble(Trouble::NotOurs));
        }
        transaction::commit_checked(&mut conn).map_err(of_message)
    });
    match committed {
        Ok(()) => {
            entry.committed();
            Ok(())
        }
        Err(refusal) => {
            roll_back(conn);
            Err(refusal)
        }
    }
}

fn roll_back(mut conn: WriterGuard) {
    // Where this fails, the guard drops the connection, and the database rolls back.
    let _ = transaction::rollback_to(&mut conn, 0);
}

impl From<Stop> for BatchResult {
    fn from(stop: Stop) -> Self {
        Self { stop: Some(stop), ..Self::default() }
    }
}

/// Runs `work` on a thread where blocking is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only with the runtime: nobody waits for this batch any more.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The same with an entry, which comes back.
async fn blocking_with<T: Send + 'static>(
    mut entry: Entry,
    work: impl FnOnce(&mut Entry) -> T + Send + 'static,
) -> (Entry, T) {
    blocking(move || {
        let done = work(&mut entry);
        (entry, done)
    })
    .await
}
