//! The engine: one loop per consumer, which owns its state. It is told what happened (`event`), and starts batches,
//! stores offsets, pauses and resumes. It never blocks and never waits for a batch.

mod wiring;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use self::wiring::{EngineConfig, StopPolling, Wiring};
use super::batch::{self, BatchResult, Decoding};
use super::event::{BatchReport, Event, LaneSnapshot, PartitionId, Positions, Snapshot};
use super::lane::{Delivered, Failing, Lane, Load, Stop};
use super::ledger::{self, Share};
use super::poll;
use super::topic::TopicRuntime;
use crate::meters::{Begun, TopicMeters};
use crate::record::RawRecord;

/// How long the poll thread waits for room in lanes that are at work, before their partitions are paused. It does not
/// poll meanwhile: rebalances wait as long.
const PAUSE_AFTER: Duration = Duration::from_millis(500);

/// Why an engine ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It was asked to, or it came to the end.
    Drained,
    /// Batches did not end within `shutdown_timeout`; their messages will be read again.
    Abandoned { batches: usize },
    /// The client is of no more use.
    Fatal(String),
}

struct LaneState {
    lane: Lane,
    topic: Arc<TopicRuntime>,
    generation: u64,
    cancel: CancellationToken,
    /// Its page in the books.
    share: Option<Arc<Share>>,
    /// The next batch, which is being decoded, or is already.
    ahead: Option<Decoding>,
    /// Messages of the batch under way.
    in_hand: usize,
    /// When its last batch started, as a number that grows.
    turn: u64,
    meters: TopicMeters,
    /// The batch that is under way, as metrics see it.
    begun: Option<Begun>,
    /// Being revoked: no new batch.
    is_leaving: bool,
}

struct Revocation {
    partitions: Vec<PartitionId>,
    done: std_mpsc::SyncSender<()>,
    deadline: Instant,
}

pub(crate) struct Engine {
    config: EngineConfig,
    wiring: Wiring,
    lanes: HashMap<PartitionId, LaneState>,
    /// What was being tried again in place in partitions that were taken away, should they come back; one a partition.
    failing: HashMap<PartitionId, Failing>,
    /// What the client holds as paused. It keeps that when a partition goes and comes back.
    paused: HashSet<PartitionId>,
    revocations: Vec<Revocation>,
    generation: u64,
    busy: usize,
    turn: u64,
    is_assigned: bool,
    drain_until: Option<Instant>,
    hold_until: Option<Instant>,
    /// The poll thread waits for room, and until when it does so for lanes that are at work.
    asked: Option<(std_mpsc::SyncSender<()>, Instant)>,
    fatal: Option<String>,
    told_unknown_topic: bool,
    /// Cancelled when nothing new is begun any more.
    draining: CancellationToken,
}

impl Engine {
    pub(crate) fn new(config: EngineConfig, wiring: Wiring) -> Self {
        Self {
            config,
            wiring,
            lanes: HashMap::new(),
            failing: HashMap::new(),
            paused: HashSet::new(),
            revocations: Vec::new(),
            generation: 0,
            busy: 0,
            turn: 0,
            is_assigned: false,
            drain_until: None,
            hold_until: None,
            asked: None,
            fatal: None,
            told_unknown_topic: false,
            draining: CancellationToken::new(),
        }
    }

    /// Runs until told to stop, until the end, or until the client is of no more use.
    pub(crate) async fn run(mut self) -> Ended {
        /// Events taken before batches are looked at again.
        const EVENTS_AT_ONCE: usize = 64;
        loop {
            self.start_batches();
            self.decode_ahead();
            self.make_room();
            self.answer_revocations();
            if self.config.until_end && self.is_finished() {
                self.drain();
            }
            if let Some(ended) = self.has_ended() {
                return self.leave(ended);
            }
            let wake = self.wakes_at();
            let clock = self.config.clock.clone();
            tokio::select! {
                event = self.wiring.events.recv() => {
                    // The engine holds a sender itself: the channel does not close.
                    let Some(event) = event else { return Ended::Drained };
                    self.handle(event);
                    for _ in 0..EVENTS_AT_ONCE {
                        match self.wiring.events.try_recv() {
                            Ok(event) => self.handle(event),
                            Err(_) => break,
                        }
                    }
                }
                () = clock.sleep_until(wake) => {}
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Records(records) => self.deliver(records),
            Event::Taken(done) => self.asked = Some((done, self.config.clock.now() + PAUSE_AFTER)),
            Event::Assigning(answer) => {
                if let Some(ledger) = &self.config.ledger {
                    ledger.clone().answer_positions(answer, self.draining.clone());
                }
            }
            Event::Assigned(partitions) => self.assign(partitions),
            Event::Revoked { partitions, done } => {
                self.config.meters.revoked.increment(1);
                for partition in &partitions {
                    if let Some(state) = self.lanes.get_mut(partition) {
                        state.is_leaving = true;
                        let (topic, partition) = (&*partition.0, partition.1);
                        tracing::debug!(consumer = &*self.config.name, topic, partition, "revoked");
                    }
                }
                let deadline = self.config.clock.now() + poll::revoke_timeout();
                self.revocations.push(Revocation { partitions, done, deadline });
            }
            Event::Lost(partitions) => {
                self.config.meters.lost.increment(1);
                tracing::warn!(
                    consumer = &*self.config.name,
                    "{} partitions were lost: the group took them away, what was not committed is handled again",
                    partitions.len()
                );
                for partition in &partitions {
                    self.drop_lane(partition);
                }
            }
            Event::EndOfPartition(id) => {
                if let Some(state) = self.lanes.get_mut(&id) {
                    state.lane.reached_end();
                }
            }
            Event::UnknownTopic => self.tell_unknown_topic(),
            Event::Lapsed => {
                self.config.meters.lapses.increment(1);
                tracing::warn!(
                    consumer = &*self.config.name,
                    "this process stood still for longer than its session lasts (`session.timeout.ms`): what was in \
                     hand is not committed, and nothing new starts for {:?}",
                    self.config.lapse_hold
                );
                self.hold_until = Some(self.config.clock.now() + self.config.lapse_hold);
            }
            Event::Fatal(message) => self.end_by(message),
            Event::Finished(report) => self.finish(&report),
            Event::Shutdown => self.drain(),
            Event::Snapshot(answer) => {
                let _ = answer.send(self.snapshot());
            }
        }
    }

    fn deliver(&mut self, records: Vec<Arc<RawRecord>>) {
        let now = self.config.clock.now();
        self.config.progress.delivered(records.len());
        let mut records = records.into_iter().peekable();
        while let Some(first) = records.peek() {
            // They come in runs of one partition: its lane is looked for once a run.
            let id = (first.topic.clone(), first.partition);
            let is_same = |record: &Arc<RawRecord>| record.partition == id.1 && Arc::ptr_eq(&record.topic, &id.0);
            let mut state = self.lanes.get_mut(&id);
            while let Some(record) = records.next_if(is_same) {
                // A lane that was taken away meanwhile: the new owner reads the message.
                let Some(state) = &mut state else { continue };
                if self.config.detects_gaps
                    && let Some(expected) = state.lane.expected_offset()
                    && record.offset > expected
                {
                    tracing::error!(
                        topic = &*record.topic,
                        partition = record.partition,
                        "the embedded broker has dropped the messages {expected} to {}: it keeps about 5 MiB a \
                         partition; produce more slowly, spread over more partitions, or use a real broker",
                        record.offset - 1
                    );
                    self.config.progress.lost((record.offset - expected) as usize);
                }
                let offset = record.offset;
                let (record, due) = self.config.unpack(record);
                if state.lane.deliver(record, due, now) == Delivered::WentBack {
                    tracing::warn!(
                        topic = &*id.0,
                        partition = id.1,
                        offset,
                        "offsets begin again: the topic was created anew, or its log was cut; handled from here on"
                    );
                }
            }
        }
    }

    fn assign(&mut self, partitions: Vec<(PartitionId, Option<i64>)>) {
        self.config.meters.assigned.increment(1);
        for (id, start) in partitions {
            self.drop_lane(&id);
            if self.paused.contains(&id) {
                self.set_paused(&id, false);
            }
            let Some(topic) = self.config.find(&id.0).cloned() else {
                tracing::warn!(topic = &*id.0, "assigned, but no declared topic matches it");
                continue;
            };
            self.generation += 1;
            let mut lane = Lane::new(self.config.limits, start);
            let mut share = None;
            if let Some(ledger) = &self.config.ledger {
                let Some(start) = start else {
                    // It is not read either: the consumer is about to end.
                    continue;
                };
                lane = lane.in_database();
                share = Some(ledger.share(id.clone(), start));
            }
            let meters = self.config.meters.of_topic(&id.0, topic.handler.stages());
            let state = LaneState {
                lane: lane.with_failing(self.failing.remove(&id)),
                topic,
                generation: self.generation,
                cancel: CancellationToken::new(),
                share,
                ahead: None,
                in_hand: 0,
                turn: 0,
                meters,
                begun: None,
                is_leaving: false,
            };
            tracing::debug!(consumer = &*self.config.name, topic = &*id.0, partition = id.1, "assigned");
            self.lanes.insert(id, state);
        }
        self.is_assigned = true;
    }

    fn start_batches(&mut self) {
        if self.drain_until.is_some() {
            return;
        }
        let now = self.config.clock.now();
        if self.hold_until.is_some_and(|until| until > now) {
            return;
        }
        self.hold_until = None;
        if self.busy >= self.config.workers {
            return;
        }
        // Whose last turn is longest ago goes first: with more partitions than workers none has to wait for ever.
        let ready = self.lanes.iter().filter(|(_, state)| !state.is_leaving && state.lane.is_ready(now));
        let mut turns: Vec<(u64, PartitionId)> = ready.map(|(id, state)| (state.turn, id.clone())).collect();
        turns.sort_unstable_by_key(|(turn, _)| *turn);
        for (_, id) in turns.into_iter().take(self.config.workers - self.busy) {
            let Some(state) = self.lanes.get_mut(&id) else { continue };
            let Some(batch) = state.lane.take_batch(now) else { continue };
            self.busy += 1;
            self.turn += 1;
            state.turn = self.turn;
            state.in_hand = batch.records.len();
            let decoding = state.ahead.take();
            state.begun = Some(Begun::new(&batch, now));
            let permit = self.config.fence.permit(state.cancel.clone());
            let environment = self.config.environment.for_batch(state.cancel.clone(), permit);
            let topic = state.topic.clone();
            let run = match state.share.clone() {
                None => tokio::spawn(batch::run(topic, batch, decoding, environment)),
                Some(share) => tokio::spawn(ledger::run::run(topic, batch, decoding, environment, share)),
            };
            report(id, state.generation, run, self.wiring.sender.clone());
        }
    }

    /// Has next batches decoded while the ones before them are written, as long as workers have nothing else to do. What
    /// is decoded takes memory, and no more lanes than there are workers have it.
    fn decode_ahead(&mut self) {
        let under_way = |state: &&LaneState| state.ahead.as_ref().is_some_and(Decoding::is_under_way);
        let decoded = self.lanes.values().filter(|state| state.ahead.is_some()).count();
        let taken = self.busy + self.lanes.values().filter(under_way).count();
        let mut free = self.config.workers.saturating_sub(taken.max(decoded));
        for state in self.lanes.values_mut() {
            if free == 0 || self.drain_until.is_some() {
                return;
            }
            if state.ahead.is_none()
                && !state.is_leaving
                && state.topic.handler.decodes_apart()
                && let Some(records) = state.lane.next_batch(state.in_hand)
            {
                state.ahead = Some(Decoding::start(&state.topic, records));
                free -= 1;
            }
        }
    }

    fn finish(&mut self, report: &BatchReport) {
        self.busy = self.busy.saturating_sub(1);
        let now = self.config.clock.now();
        let Some(state) = self.lanes.get_mut(&report.partition).filter(|s| s.generation == report.generation) else {
            return;
        };
        if report.stop == Some(Stop::Outage) && state.lane.outages() == 0 {
            tracing::warn!(topic = &*report.partition.0, partition = report.partition.1, "waits for the database");
        }
        if let Some(begun) = state.begun.take() {
            state.meters.count(report, begun.finished(now, self.config.clock.now_ms()));
        }
        let mut position = state.lane.finish(report.handled, report.stop.as_ref(), now);
        // Where the poll thread is gone, they end here.
        let _ = self.wiring.spent.send(state.lane.take_spent());
        if let Some(reached) = report.reached {
            state.lane.advance_to(reached);
            position = Some(reached);
        }
        let resumes = state.lane.is_paused() && {
            let max = self.load_max();
            self.lanes.get_mut(&report.partition).is_some_and(|state| state.lane.resume(max))
        };
        self.config.progress.handled(report.handled, report.dead_lettered, report.retried);
        self.config.progress.superseded(report.superseded);
        if let Some(position) = position {
            self.store(&report.partition, position);
        }
        if resumes {
            self.set_paused(&report.partition, false);
        }
        if let Some(Stop::Fatal(message)) = &report.stop {
            self.end_by(message.clone());
        }
    }

    /// A client is of no more use: what is under way is finished, and that is the end.
    fn end_by(&mut self, message: String) {
        self.fatal.get_or_insert(message);
        self.drain();
    }

    /// Stores an offset for the next commit.
    fn store(&self, id: &PartitionId, position: i64) {
        let offsets = poll::list(&Positions::from([(id.clone(), position)]));
        match self.wiring.consumer.store_offsets(&offsets) {
            // Not ours any more: the new owner goes on from the last commit.
            Ok(()) | Err(KafkaError::StoreOffset(RDKafkaErrorCode::State)) => {}
            Err(error) => tracing::warn!(topic = &*id.0, partition = id.1, "the offset was not stored: {error}"),
        }
    }

    /// Lets the poll thread go on once no lane is full. A lane that stands still, or is at work for long, gets its
    /// partition paused instead, so that it does not hold up the others.
    fn make_room(&mut self) {
        let Some((asked, until)) = self.asked.take() else { return };
        let now = self.config.clock.now();
        let max = self.load_max();
        let (mut to_pause, mut is_full) = (Vec::new(), false);
        for (id, state) in &mut self.lanes {
            if !state.lane.is_full(max) || state.lane.is_paused() {
                continue;
            }
            if until <= now || state.lane.is_settled(now) {
                state.lane.pause();
                to_pause.push(id.clone());
            } else {
                is_full = true;
            }
        }
        for id in to_pause {
            self.set_paused(&id, true);
        }
        if is_full && self.drain_until.is_none() {
            self.asked = Some((asked, until));
        } else {
            // It waits for nothing else.
            let _ = asked.try_send(());
        }
    }

    /// What each lane may hold, as all of them stand.
    fn load_max(&self) -> Load {
        self.config.limits.load_max(self.lanes.len(), self.lanes.values().map(|state| state.lane.load()).sum())
    }

    fn set_paused(&mut self, id: &PartitionId, pause: bool) {
        // The list must not outlive this call: kept, it would make the consumer's drop hang.
        let mut partition = rdkafka::TopicPartitionList::with_capacity(1);
        partition.add_partition(&id.0, id.1);
        let result = if pause {
            self.paused.insert(id.clone());
            self.wiring.consumer.pause(&partition)
        } else {
            self.paused.remove(id);
            self.wiring.consumer.resume(&partition)
        };
        if let Err(error) = result {
            tracing::warn!(topic = &*id.0, partition = id.1, "pause or resume: {error}");
        }
    }

    fn answer_revocations(&mut self) {
        let now = self.config.clock.now();
        let mut open = Vec::new();
        for revocation in std::mem::take(&mut self.revocations) {
            let busy = revocation.partitions.iter().any(|id| self.lanes.get(id).is_some_and(|s| s.lane.is_busy()));
            if busy && now < revocation.deadline {
                open.push(revocation);
                continue;
            }
            for id in &revocation.partitions {
                self.drop_lane(id);
            }
            let _ = revocation.done.try_send(());
        }
        self.revocations = open;
    }

    fn drop_lane(&mut self, id: &PartitionId) {
        if let Some(state) = self.lanes.remove(id) {
            state.cancel.cancel();
            if let Some(failing) = state.lane.failing() {
                self.failing.insert(id.clone(), failing);
            }
            // All are taken away before others are given: until then nobody knows what there is to do.
            self.is_assigned &= !self.lanes.is_empty();
        }
    }

    /// A consumer without partitions is: its topics are not there, or others of its group have them.
    fn is_finished(&self) -> bool {
        (self.is_assigned || self.config.has_no_topics) && self.lanes.values().all(|state| state.lane.is_finished())
    }

    fn tell_unknown_topic(&mut self) {
        if !std::mem::replace(&mut self.told_unknown_topic, true)
            && self.config.subscription.iter().all(|name| !name.starts_with('^'))
        {
            tracing::warn!(
                consumer = &*self.config.name,
                "a subscribed topic does not exist yet; it is consumed as soon as it does. Subscribed: {}",
                self.config.subscription.join(", ")
            );
        }
    }

    fn drain(&mut self) {
        if self.drain_until.is_none() {
            self.drain_until = Some(self.config.clock.now() + self.config.shutdown_timeout);
            self.draining.cancel();
            self.wiring.stop_polling.tell();
        }
    }

    fn has_ended(&self) -> Option<Ended> {
        let until = self.drain_until?;
        let batches = self.lanes.values().filter(|state| state.lane.is_busy()).count();
        if batches > 0 && self.config.clock.now() < until {
            return None;
        }
        Some(match &self.fatal {
            Some(message) => Ended::Fatal(message.clone()),
            None if batches > 0 => Ended::Abandoned { batches },
            None => Ended::Drained,
        })
    }

    /// Lets go of the consumer, which the poll thread then drops.
    fn leave(mut self, ended: Ended) -> Ended {
        for state in self.lanes.values() {
            state.cancel.cancel();
        }
        for revocation in self.revocations.drain(..) {
            let _ = revocation.done.try_send(());
        }
        let Wiring { consumer, sender, events, drained, .. } = self.wiring;
        drop(consumer);
        // Closed before the consumer is: its last rebalance must find nobody waiting.
        drop(events);
        drop(sender);
        let _ = drained.send(());
        ended
    }

    fn wakes_at(&self) -> Option<Instant> {
        let lanes = self
            .lanes
            .values()
            .filter(|state| !state.is_leaving && self.busy < self.config.workers && self.drain_until.is_none())
            .filter_map(|state| state.lane.wakes_at().max(self.hold_until));
        let revocations = self.revocations.iter().map(|revocation| revocation.deadline);
        let asked = self.asked.as_ref().map(|(_, until)| *until);
        lanes.chain(revocations).chain(self.drain_until).chain(self.hold_until).chain(asked).min()
    }

    fn snapshot(&self) -> Snapshot {
        let now = self.config.clock.now();
        let lanes = self.lanes.iter().map(|(id, state)| {
            let lane = LaneSnapshot {
                delivered: state.lane.delivered(),
                position: state.lane.position(),
                is_settled: state.lane.is_settled(now),
                buffered: state.lane.load(),
                head: state.lane.head(),
                failures: state.lane.failures(),
            };
            (id.clone(), lane)
        });
        Snapshot { lanes: lanes.collect(), is_assigned: self.is_assigned, is_draining: self.drain_until.is_some() }
    }
}

/// The report of a batch that runs beside the engine comes back as an event, also where the batch's task dies.
fn report(partition: PartitionId, generation: u64, task: JoinHandle<BatchResult>, events: mpsc::Sender<Event>) {
    tokio::spawn(async move {
        let result = task.await.unwrap_or_else(|error| {
            tracing::error!("a batch ended by a fault of ours and is tried again: {error}");
            BatchResult { stop: Some(Stop::Outage), ..BatchResult::default() }
        });
        let BatchResult { handled, dead_lettered, retried, superseded, reached, stop, tally } = result;
        let report =
            BatchReport { partition, generation, handled, dead_lettered, retried, superseded, reached, stop, tally };
        let _ = events.send(Event::Finished(report)).await;
    });
}
