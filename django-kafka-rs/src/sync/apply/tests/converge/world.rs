//! What happens to a log, step by step; and what the tables have to hold then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::*;
use super::scene::{COLUMNS, Fails, GROUP, Place, RETRIES_MAX, Scene, TOPICS, under};
use crate::record::{Origin, Retried};
use crate::relations::{Awaited, Taken, Which};

pub(super) const PARTITIONS: usize = 2;

/// One message.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) topic: usize,
    pub(super) key: i64,
    /// Which columns are in it; `None`: it deletes.
    pub(super) columns: Option<u8>,
    /// What the columns that refer name; 0 is null, and the last is never there.
    pub(super) refers: [i64; 2],
    /// How it fails when it does, and how often at most.
    pub(super) fails: Fails,
    pub(super) failures_max: u8,
    pub(super) poison: Poison,
}

/// `orders 1: customer n m → 2 (fails Late 1×)`.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}:", TOPICS[self.topic], self.key)?;
        match self.columns {
            None => write!(f, " deleted")?,
            Some(columns) => {
                for (place, (column, _)) in COLUMNS[self.topic].iter().enumerate() {
                    if columns & (1 << place) != 0 {
                        write!(f, " {column}")?;
                    }
                }
                write!(f, " → {:?}", self.refers)?;
            }
        }
        if self.failures_max > 0 {
            write!(f, " (fails {:?} {}×)", self.fails, self.failures_max)?;
        }
        if self.poison == Poison::Nowhere { Ok(()) } else { write!(f, " (poison {:?})", self.poison) }
    }
}

/// Where a message fails for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Poison {
    Nowhere,
    Everywhere,
    /// When it comes from those that waited.
    Parked,
}

/// What happens next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A batch of a topic's partition.
    Lane { topic: usize, partition: usize, size: usize, failing: u16, crash: Crash },
    /// A batch of a topic's retry topics, in some order.
    Retry { topic: usize, size: usize, order: u16, failing: u16, crash: Crash },
    /// One of two daemons takes messages, unless it has some.
    Claim { daemon: usize, which: u8, life: Option<u32> },
    /// It has them handled, and may be killed after as many calls of the store.
    Settle { daemon: usize, failing: u16, life: Option<u32> },
    /// It is killed with what it has in hand.
    Kill { daemon: usize },
    /// All leases run out.
    Expire,
    /// Retries are due.
    Advance,
    /// A daemon looks at everything once.
    Look { failing: u16 },
}

/// When the process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    Never,
    /// Before the first or the second commit.
    BeforeCommit(usize),
    /// All is committed, nothing is sent.
    BeforeSending,
    /// What leaves is sent, the position is not moved.
    BeforeStoring,
}

/// A row without its id and its NULLs.
pub(super) type Row = BTreeMap<&'static str, i64>;
/// A table's rows by their ids.
pub(super) type Rows = BTreeMap<i64, Row>;

/// A message on its way: its place in the list, and the number of the retry topic that it stands in.
type Copy = (usize, u32);

pub(super) struct World<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) log: &'a [Message],
    /// Each message's place in its topic.
    places: Vec<Place>,
    at: BTreeMap<Place, usize>,
    /// By topic and partition: its messages, where it reads on, and how far it ever came.
    partitions: Vec<(Vec<usize>, usize, usize)>,
    retries: Vec<Copy>,
    pub(super) done: BTreeSet<usize>,
    pub(super) dead: BTreeSet<usize>,
    pub(super) parked: BTreeMap<usize, bool>,
    failures_left: Vec<u8>,
    daemons: [Option<Taken>; 2],
}

/// The test's lane: all that fails leaves.
struct Leaving<'a> {
    batch: &'a [Copy],
    /// Commits until the process is killed.
    commits_left: usize,
}

impl Caller for Leaving<'_> {
    fn decide(&mut self, _index: usize, _error: &ConsumeError) -> Verdict {
        Verdict::Leave
    }

    fn comes_back(&self, index: usize) -> bool {
        self.batch[index].1 < RETRIES_MAX
    }

    fn before_commit(&mut self, _conn: &mut DbConn, _covered: &Covered<'_>) -> Result<(), Refused> {
        match self.commits_left.checked_sub(1) {
            Some(left) => self.commits_left = left,
            None => return Err(Refused::NotOurs("killed".to_owned())),
        }
        Ok(())
    }
}

/// What a message says of columns.
pub(super) type Cells = Vec<(&'static str, Option<i64>)>;

impl<'a> World<'a> {
    pub(super) fn new(scene: &'a Scene<'a>, log: &'a [Message]) -> Self {
        let mut partitions = vec![(Vec::new(), 0, 0); TOPICS.len() * PARTITIONS];
        let mut places = Vec::new();
        for (index, message) in log.iter().enumerate() {
            let partition = message.key as usize % PARTITIONS;
            let messages = &mut partitions[message.topic * PARTITIONS + partition].0;
            places.push((message.topic, partition as i32, messages.len() as i64));
            messages.push(index);
        }
        Self {
            scene,
            log,
            at: places.iter().copied().enumerate().map(|(index, place)| (place, index)).collect(),
            places,
            partitions,
            retries: Vec::new(),
            done: BTreeSet::new(),
            dead: BTreeSet::new(),
            parked: BTreeMap::new(),
            failures_left: log.iter().map(|message| message.failures_max).collect(),
            daemons: [None, None],
        }
    }

    pub(super) fn run(&mut self, step: &Step) {
        match *step {
            Step::Lane { topic, partition, size, failing, crash } => self.lane(topic, partition, size, failing, crash),
            Step::Retry { topic, size, order, failing, crash } => self.retry(topic, size, order, failing, crash),
            Step::Claim { daemon, which, life } if self.daemons[daemon].is_none() => {
                self.daemons[daemon] = under(&[], life, || self.claim(which));
            }
            Step::Claim { .. } => {}
            Step::Settle { daemon, failing, life } => {
                if let Some(taken) = self.daemons[daemon].take() {
                    let failing = self.failing_in_daemons(failing);
                    // What cannot be done is still there.
                    let _ = under(&failing, life, || self.scene.resolver.settle(taken));
                }
            }
            Step::Kill { daemon } => self.daemons[daemon] = None,
            Step::Expire => self.scene.expire(),
            Step::Advance => self.scene.clock.advance(std::time::Duration::from_secs(10)),
            Step::Look { failing } => {
                let failing = self.failing_in_daemons(failing);
                let mut after = None;
                under(&failing, None, || self.scene.resolver.look(&mut after)).unwrap();
            }
        }
        self.note_parked();
    }

    fn claim(&self, which: u8) -> Option<Taken> {
        let resolver = &self.scene.resolver;
        let rows: Vec<Awaited>;
        let which = match which {
            0 => Which::Unseen,
            1 => Which::Blocked,
            2 => Which::Failed,
            _ => {
                rows = resolver.page(None).and_then(|page| resolver.existing(page)).ok()?;
                Which::Relations(&rows)
            }
        };
        resolver.claim(which).ok()?
    }

    /// What fails in a daemon's step.
    fn failing_in_daemons(&mut self, told: u16) -> Vec<(Place, Fails)> {
        let mut failing = Vec::new();
        for &index in self.parked.keys() {
            let message = &self.log[index];
            let left = &mut self.failures_left[index];
            if message.poison != Poison::Nowhere {
                failing.push((self.places[index], Fails::Decoding));
            } else if told & (1 << (index % 16)) != 0 && *left > 0 && !self.done.contains(&index) {
                *left -= 1;
                failing.push((self.places[index], message.fails));
            }
        }
        failing
    }

    fn lane(&mut self, topic: usize, partition: usize, size: usize, failing: u16, crash: Crash) {
        let lane = topic * PARTITIONS + partition;
        let (messages, position, _) = &self.partitions[lane];
        let batch: Vec<Copy> = messages.iter().skip(*position).take(size).map(|index| (*index, 0)).collect();
        let handled = self.apply(topic, &batch, failing, crash);
        let (_, position, reached) = &mut self.partitions[lane];
        *reached = (*position + handled).max(*reached);
        if handled == batch.len() && !matches!(crash, Crash::BeforeSending | Crash::BeforeStoring) {
            *position += batch.len();
        }
    }

    fn retry(&mut self, topic: usize, size: usize, order: u16, failing: u16, crash: Crash) {
        let mut order = usize::from(order);
        let mut batch = Vec::new();
        for _ in 0..size {
            let there: Vec<usize> =
                (0..self.retries.len()).filter(|at| self.log[self.retries[*at].0].topic == topic).collect();
            if there.is_empty() {
                break;
            }
            order = order.wrapping_mul(31).wrapping_add(17);
            batch.push(self.retries.remove(there[order % there.len()]));
        }
        let handled = self.apply(topic, &batch, failing, crash);
        if handled < batch.len() || matches!(crash, Crash::BeforeSending | Crash::BeforeStoring) {
            // All of it is read again.
            self.retries.extend(batch);
        }
    }

    /// Applies a batch; how many of its messages are handled.
    fn apply(&mut self, topic: usize, batch: &[Copy], told: u16, crash: Crash) -> usize {
        if batch.is_empty() {
            return 0;
        }
        let records: Vec<_> = batch.iter().map(|copy| self.record(*copy)).collect();
        let mut failing = Vec::new();
        for (place, (index, _)) in batch.iter().enumerate() {
            let (message, left) = (&self.log[*index], &mut self.failures_left[*index]);
            if message.poison == Poison::Everywhere {
                failing.push((self.places[*index], Fails::Decoding));
            } else if told & (1 << place) != 0 && *left > 0 && !self.done.contains(index) {
                *left -= 1;
                failing.push((self.places[*index], message.fails));
            }
        }
        let commits_left = if let Crash::BeforeCommit(commits) = crash { commits - 1 } else { usize::MAX };
        let mut lane = Leaving { batch, commits_left };
        let report = under(&failing, None, || self.scene.apply(topic, &records, &mut lane));
        match report.stop {
            None => {}
            Some(Stop::Outage(reason)) if reason == "killed" => {}
            other => panic!("{other:?}"),
        }
        let parked = self.scene.parked();
        for (&(index, number), outcome) in batch.iter().zip(&report.outcomes) {
            match outcome {
                Outcome::Failed(error) => {
                    assert!(failing.iter().any(|(place, _)| *place == self.places[index]), "{index}: {error}");
                    if number == RETRIES_MAX {
                        self.dead.insert(index);
                    } else if report.outcomes.len() == batch.len() && crash != Crash::BeforeSending {
                        self.retries.push((index, number + 1));
                    }
                }
                Outcome::Parked if parked.contains_key(&self.places[index]) => {}
                // What was parked may have been ended by another message of the batch.
                _ => {
                    self.done.insert(index);
                }
            }
        }
        report.outcomes.len()
    }

    /// A message as it is read, for the first time or from a retry topic.
    fn record(&self, (index, number): Copy) -> Arc<RawRecord> {
        let (message, (topic, partition, offset)) = (&self.log[index], self.places[index]);
        let cells = self.cells(index).map(|cells| {
            let cells = cells.into_iter().map(|(column, cell)| (column.to_owned(), json!(cell)));
            let id = ("id".to_owned(), json!(message.key));
            Value::Object(cells.chain([id]).collect())
        });
        let plain = record(0, &json!({ "id": message.key }), &cells.unwrap_or(Value::Null));
        let origin = Origin { topic: TOPICS[topic].into(), partition, offset };
        let retried = (number > 0).then(|| Arc::new(Retried { origin, attempt: number }));
        let topic = if number == 0 { TOPICS[topic].into() } else { format!("{GROUP}.{}.retry", TOPICS[topic]).into() };
        Arc::new(RawRecord { topic, partition, offset, retried, ..(*plain).clone() })
    }

    /// What a message says of each column that is in it; `None`: it deletes.
    pub(super) fn cells(&self, index: usize) -> Option<Cells> {
        let message = &self.log[index];
        let columns = message.columns?;
        let mut refers = message.refers.into_iter();
        let cells = COLUMNS[message.topic].iter().enumerate().map(|(place, (column, parent))| {
            let value = match parent {
                Some(_) => refers.next().filter(|id| *id > 0),
                None => Some(1_000 + index as i64),
            };
            (place, (*column, value))
        });
        Some(cells.filter(|(place, _)| columns & (1 << place) != 0).map(|(_, cell)| cell).collect())
    }

    /// Takes over what is parked now: what is so no more is done with, or dead.
    fn note_parked(&mut self) {
        let now: BTreeMap<usize, bool> =
            self.scene.parked().into_iter().map(|(place, deletion)| (self.at[&place], deletion)).collect();
        for index in self.parked.keys().filter(|index| !now.contains_key(index)) {
            if self.log[*index].poison == Poison::Nowhere {
                self.done.insert(*index);
            } else {
                self.dead.insert(*index);
            }
        }
        self.parked = now;
    }

    /// Until nothing is left that can be done.
    pub(super) fn drain(&mut self) {
        self.daemons = [None, None];
        self.scene.expire();
        for topic in 0..TOPICS.len() {
            for partition in 0..PARTITIONS {
                let (messages, position, _) = &self.partitions[topic * PARTITIONS + partition];
                for _ in *position..messages.len() {
                    self.run(&Step::Lane { topic, partition, size: 1, failing: 0, crash: Crash::Never });
                }
            }
        }
        while let Some((index, _)) = self.retries.first() {
            let topic = self.log[*index].topic;
            self.run(&Step::Retry { topic, size: 7, order: 3, failing: 0, crash: Crash::Never });
        }
        let mut idle = 0;
        // As often as a message may fail.
        while idle <= RETRIES_MAX {
            let before = (self.parked.clone(), self.rows());
            self.run(&Step::Advance);
            self.run(&Step::Look { failing: 0 });
            idle = if (self.parked.clone(), self.rows()) == before { idle + 1 } else { 0 };
        }
    }

    pub(super) fn rows(&self) -> Vec<Rows> {
        (0..TOPICS.len()).map(|topic| self.scene.rows(topic)).collect()
    }

    /// Whether the rows have to be exact now: not while a lane reads again what it had written before.
    pub(super) fn is_settled(&self) -> bool {
        self.partitions.iter().all(|(_, position, reached)| position >= reached)
    }
}
