//! A lane: what waits of one partition. Pure: records, reports and times go in, decisions come out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::record::RawRecord;

/// Bounds of a lane and of its batches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneLimits {
    /// Messages in one batch at most.
    pub(crate) batch_max: usize,
    /// Bytes in one batch at most; a single message may be larger.
    pub(crate) batch_bytes_max: usize,
    /// How long an idle lane waits for more than it has.
    pub(crate) linger: Duration,
    /// Messages in the buffer before it is full.
    pub(crate) buffer_max: usize,
    /// Bytes in the buffer before it is full.
    pub(crate) buffer_bytes_max: usize,
}

/// Messages that lanes hold, or may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl Load {
    /// How many full lanes all lanes of a consumer may be together.
    const FULL_LANES_MAX: usize = 4;

    fn reaches(self, max: Self) -> bool {
        self.messages >= max.messages || self.bytes >= max.bytes
    }
}

impl std::iter::Sum for Load {
    fn sum<I: Iterator<Item = Self>>(loads: I) -> Self {
        loads.fold(Self::default(), |all, load| Self {
            messages: all.messages + load.messages,
            bytes: all.bytes.saturating_add(load.bytes),
        })
    }
}

impl LaneLimits {
    /// What each of `lanes` may hold at most, while all of them hold `load`: as much as its own buffer may, or an equal
    /// share where together they hold what they may. Some lane holds its share then: to wait until none does makes
    /// room, whatever the others do.
    pub(crate) fn load_max(&self, lanes: usize, load: Load) -> Load {
        let own = Load { messages: self.buffer_max, bytes: self.buffer_bytes_max };
        let together = Load {
            messages: own.messages.saturating_mul(Load::FULL_LANES_MAX),
            bytes: own.bytes.saturating_mul(Load::FULL_LANES_MAX),
        };
        if lanes <= Load::FULL_LANES_MAX || !load.reaches(together) {
            return own;
        }
        // An empty lane never holds its share.
        Load { messages: (together.messages / lanes).max(1), bytes: (together.bytes / lanes).max(1) }
    }
}

/// What a lane is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// A batch is being handled.
    Busy,
    /// The head waits until then.
    Waiting {
        until: Instant,
    },
}

/// A message in the buffer.
#[derive(Debug)]
struct Queued {
    record: Arc<RawRecord>,
    /// Not before then: a retry's time.
    due: Option<Instant>,
}

impl Queued {
    fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }
}

/// A message that is tried again in place. It outlives its lane: a partition that is taken away and comes back must
/// neither cut the wait short nor forget attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failing {
    offset: i64,
    /// How often it has failed.
    failures: u32,
    /// Not tried before then.
    until: Instant,
}

/// The messages of one partition between the client and the handler, in order.
#[derive(Debug)]
pub(crate) struct Lane {
    limits: LaneLimits,
    buffer: VecDeque<Queued>,
    buffer_bytes: usize,
    /// What the last batch was done with.
    spent: Vec<Arc<RawRecord>>,
    /// When the oldest message of an idle lane came: from here `linger` counts.
    lingering_since: Option<Instant>,
    state: State,
    paused: bool,
    /// The message that is tried again in place; not passed yet.
    failing: Option<Failing>,
    /// The offset of the newest message delivered, or the one before the start.
    delivered: Option<i64>,
    /// The offset to store: behind the last message handled.
    position: Option<i64>,
    /// The client has said that there is no more for now.
    at_end: bool,
    outages: u32,
    /// Its position is in the database. Then offsets do not begin again: the client gives an error instead.
    in_database: bool,
    /// That position has to be claimed before anything is handled.
    unclaimed: bool,
}

/// What came of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// In the order of offsets.
    InOrder,
    /// Its offset is no higher than that of the one before: offsets have begun again.
    WentBack,
    /// The same, where the database has the position: it was handled, or is in the buffer, and is dropped.
    Repeated,
}

/// A batch to handle.
#[derive(Debug)]
pub(crate) struct Batch {
    /// In order. None: the partition is to be claimed.
    pub(crate) records: Vec<Arc<RawRecord>>,
    /// How often the first of them has failed already.
    pub(crate) failures: u32,
}

/// Why a batch ended before its last message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The message behind the handled ones failed, and is tried again after this time.
    Retry(Duration),
    /// The database is away: the rest is tried again; no attempt is counted.
    Outage,
    /// Somebody else has claimed the partition: it is claimed again after a while, if it is still ours then.
    Fenced,
    /// The batch was told to end early, or had taken long enough: the rest is a batch of its own, if the lane lives.
    Cancelled,
    /// The client that produces is of no more use, in librdkafka's words: the rest is left to the next process.
    Fatal(String),
}

impl Lane {
    /// `start`: the offset that reading starts from, where it is known.
    pub(crate) fn new(limits: LaneLimits, start: Option<i64>) -> Self {
        Self {
            limits,
            buffer: VecDeque::new(),
            buffer_bytes: 0,
            spent: Vec::new(),
            lingering_since: None,
            state: State::Idle,
            paused: false,
            failing: None,
            delivered: start.map(|offset| offset - 1),
            position: None,
            at_end: false,
            outages: 0,
            in_database: false,
            unclaimed: false,
        }
    }

    /// The same, of a position in the database: to be claimed first, by a batch without messages.
    pub(crate) fn in_database(self) -> Self {
        Self { in_database: true, unclaimed: true, ..self }
    }

    /// The same for a partition that was here before, where a message was being tried again.
    pub(crate) fn with_failing(self, failing: Option<Failing>) -> Self {
        Self { failing, ..self }
    }

    /// The message that is being tried again, to be remembered when the partition is taken away.
    pub(crate) fn failing(&self) -> Option<Failing> {
        self.failing
    }

    /// The offset that would follow the last delivered one in a log without holes.
    pub(crate) fn expected_offset(&self) -> Option<i64> {
        self.delivered.map(|offset| offset + 1)
    }

    /// Takes a message in; it is not handled before `due`, and neither is what comes behind it.
    ///
    /// Offsets go back where a topic was deleted and created anew, or its log was cut, and the client begins again
    /// before the group has noticed. What is behind that is as new as ever, so nothing is taken for a repetition by its
    /// offset: handled twice is better than never.
    pub(crate) fn deliver(&mut self, record: Arc<RawRecord>, due: Option<Instant>, now: Instant) -> Delivered {
        let went_back = self.delivered.is_some_and(|last| record.offset <= last);
        if went_back && self.in_database {
            return Delivered::Repeated;
        }
        self.delivered = Some(record.offset);
        self.at_end = false;
        self.buffer_bytes += record.weight_bytes();
        self.buffer.push_back(Queued { record, due });
        self.lingering_since.get_or_insert(now);
        if went_back { Delivered::WentBack } else { Delivered::InOrder }
    }

    /// Notes that the client has reached the partition's end.
    pub(crate) fn reached_end(&mut self) {
        self.at_end = true;
    }

    /// Whether everything up to the partition's end has been handled.
    pub(crate) fn is_finished(&self) -> bool {
        self.at_end && self.buffer.is_empty() && self.state == State::Idle && !self.unclaimed
    }

    /// Whether a batch is being handled.
    pub(crate) fn is_busy(&self) -> bool {
        self.state == State::Busy
    }

    /// Whether nothing will happen before `wakes_at` or the next delivery.
    pub(crate) fn is_settled(&self, now: Instant) -> bool {
        match self.state {
            State::Idle => !self.unclaimed && (self.buffer.is_empty() || !self.head_is_due(now)),
            State::Busy => false,
            State::Waiting { until } => until > now,
        }
    }

    /// What waits.
    pub(crate) fn load(&self) -> Load {
        Load { messages: self.buffer.len(), bytes: self.buffer_bytes }
    }

    /// The first that waits: its offset, and its time where it bears one, in milliseconds since 1970.
    pub(crate) fn head(&self) -> Option<(i64, Option<i64>)> {
        self.buffer.front().map(|head| (head.record.offset, head.record.timestamp_ms))
    }

    /// How often it has failed in place.
    pub(crate) fn failures(&self) -> u32 {
        let failing = self.head().and_then(|(offset, _)| self.failing_at(offset));
        failing.map_or(0, |failing| failing.failures)
    }

    /// Behind the newest message delivered: where the client has got to.
    pub(crate) fn delivered(&self) -> Option<i64> {
        self.delivered
    }

    /// The offset to store.
    pub(crate) fn position(&self) -> Option<i64> {
        self.position
    }

    /// Whether the next batch's time has come.
    pub(crate) fn is_ready(&self, now: Instant) -> bool {
        (self.unclaimed || self.head_is_due(now))
            && match self.state {
                State::Busy => false,
                State::Waiting { until } => until <= now,
                State::Idle => self.unclaimed || self.linger_until().is_none_or(|until| until <= now),
            }
    }

    /// Takes the next batch, if its time has come.
    pub(crate) fn take_batch(&mut self, now: Instant) -> Option<Batch> {
        if !self.is_ready(now) {
            return None;
        }
        if self.unclaimed {
            self.state = State::Busy;
            return Some(Batch { records: Vec::new(), failures: 0 });
        }
        let head = self.buffer.front()?.record.offset;
        let (mut bytes, mut last) = (0, None);
        let records: Vec<_> = self
            .buffer
            .iter()
            .take(self.limits.batch_max.max(1))
            .take_while(|queued| {
                let first = bytes == 0;
                bytes += queued.record.weight_bytes();
                // Offsets that begin again begin a batch: within one they tell the order. So does what is tried again:
                // its failures are those of a batch's first message.
                let in_order = last.replace(queued.record.offset) < Some(queued.record.offset);
                let fits = bytes <= self.limits.batch_bytes_max && self.failing_at(queued.record.offset).is_none();
                queued.is_due(now) && in_order && (first || fits)
            })
            .map(|queued| queued.record.clone())
            .collect();
        self.state = State::Busy;
        let failures = self.failing_at(head).map_or(0, |failing| failing.failures);
        Some(Batch { records, failures })
    }

    /// The messages that the next batch will most likely have, where a whole batch is there already behind the one in
    /// hand, which has `in_hand`.
    pub(crate) fn next_batch(&self, in_hand: usize) -> Option<Vec<Arc<RawRecord>>> {
        let max = self.limits.batch_max.max(1);
        if self.state != State::Busy || self.buffer.len() < in_hand + max {
            return None;
        }
        let mut bytes = 0;
        let fits = |queued: &&Queued| {
            bytes += queued.record.weight_bytes();
            bytes <= self.limits.batch_bytes_max
        };
        Some(self.buffer.iter().skip(in_hand).take(max).take_while(fits).map(|queued| queued.record.clone()).collect())
    }

    /// When a lane that has nothing to do now will have.
    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Idle => self.linger_until().max(self.head_due()),
            State::Busy => None,
        }
    }

    /// Takes the result of the batch in hand: its first `handled` messages are done.
    ///
    /// Returns the offset to store, where it moved.
    pub(crate) fn finish(&mut self, handled: usize, stop: Option<&Stop>, now: Instant) -> Option<i64> {
        debug_assert!(self.state == State::Busy, "a result without a batch");
        debug_assert!(handled <= self.buffer.len(), "more results than messages");
        let mut moved = None;
        self.spent.clear();
        for Queued { record, .. } in self.buffer.drain(..handled.min(self.buffer.len())) {
            self.buffer_bytes -= record.weight_bytes();
            moved = Some(record.offset + 1);
            self.spent.push(record);
        }
        if let Some(position) = moved {
            self.position = moved;
            self.outages = 0;
            self.failing = self.failing.filter(|failing| failing.offset >= position);
        }
        self.lingering_since = (!self.buffer.is_empty()).then_some(now);
        // Nothing but a claim is under way while one is needed.
        self.unclaimed = match stop {
            None | Some(Stop::Cancelled) => false,
            Some(Stop::Fenced) => true,
            Some(Stop::Retry(_) | Stop::Outage | Stop::Fatal(_)) => self.unclaimed,
        };
        self.state = match stop {
            None | Some(Stop::Cancelled | Stop::Fatal(_)) => State::Idle,
            Some(Stop::Retry(delay)) => {
                let until = now + *delay;
                self.count_failure(until);
                State::Waiting { until }
            }
            Some(Stop::Outage) => {
                self.outages = self.outages.saturating_add(1);
                State::Waiting { until: now + outage_delay(self.outages) }
            }
            Some(Stop::Fenced) => {
                self.outages = self.outages.saturating_add(1);
                State::Waiting { until: now + fenced_delay(self.outages) }
            }
        };
        moved
    }

    /// The messages that the last batch was done with.
    pub(crate) fn take_spent(&mut self) -> Vec<Arc<RawRecord>> {
        std::mem::take(&mut self.spent)
    }

    /// The database says that all before `position` is handled, by whomever.
    pub(crate) fn advance_to(&mut self, position: i64) {
        while self.buffer.front().is_some_and(|head| head.record.offset < position) {
            if let Some(Queued { record, .. }) = self.buffer.pop_front() {
                self.buffer_bytes -= record.weight_bytes();
            }
        }
        self.failing = self.failing.filter(|failing| failing.offset >= position);
        self.delivered = self.delivered.max(Some(position - 1));
        self.position = self.position.max(Some(position));
    }

    /// How many outages in a row have held the head.
    pub(crate) fn outages(&self) -> u32 {
        self.outages
    }

    /// Whether it holds as much as it may.
    pub(crate) fn is_full(&self, max: Load) -> bool {
        self.load().reaches(max)
    }

    /// Whether its partition is paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Notes that its partition is paused.
    pub(crate) fn pause(&mut self) {
        self.paused = true;
    }

    /// Whether its partition, which is paused, is to be resumed now: at half of what it may hold, so that it does not
    /// flutter.
    pub(crate) fn resume(&mut self, max: Load) -> bool {
        let low = self.buffer.len() <= max.messages / 2 && self.buffer_bytes <= max.bytes / 2;
        let resumes = self.paused && low;
        self.paused &= !resumes;
        resumes
    }

    fn linger_until(&self) -> Option<Instant> {
        (!self.limits.linger.is_zero() && self.buffer.len() < self.limits.batch_max)
            .then(|| self.lingering_since.map(|since| since + self.limits.linger))
            .flatten()
    }

    fn failing_at(&self, offset: i64) -> Option<Failing> {
        self.failing.filter(|failing| failing.offset == offset)
    }

    /// When the head may be handled, where that is not at once.
    fn head_due(&self) -> Option<Instant> {
        let head = self.buffer.front()?;
        head.due.max(self.failing_at(head.record.offset).map(|failing| failing.until))
    }

    /// Whether there is a head that may be handled.
    fn head_is_due(&self, now: Instant) -> bool {
        !self.buffer.is_empty() && self.head_due().is_none_or(|due| due <= now)
    }

    fn count_failure(&mut self, until: Instant) {
        let Some(offset) = self.buffer.front().map(|head| head.record.offset) else { return };
        let failures = self.failing_at(offset).map_or(0, |failing| failing.failures).saturating_add(1);
        self.failing = Some(Failing { offset, failures, until });
    }
}

/// Half a second, doubling up to 30 seconds.
fn outage_delay(outages: u32) -> Duration {
    const MS_MAX: u64 = 30_000;
    Duration::from_millis((500_u64 << outages.saturating_sub(1).min(10)).min(MS_MAX))
}

/// Two seconds, doubling up to 30: a process that has lost its partitions learns it with its next heartbeat.
fn fenced_delay(times: u32) -> Duration {
    const SECONDS_MAX: u64 = 30;
    Duration::from_secs((2_u64 << times.saturating_sub(1).min(10)).min(SECONDS_MAX))
}

#[cfg(test)]
mod tests;
