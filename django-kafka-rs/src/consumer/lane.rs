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
}

/// What came of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// In the order of offsets.
    InOrder,
    /// Its offset is no higher than that of the one before: offsets have begun again.
    WentBack,
}

/// A batch to handle.
#[derive(Debug)]
pub(crate) struct Batch {
    /// At least one message, in order.
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
            lingering_since: None,
            state: State::Idle,
            paused: false,
            failing: None,
            delivered: start.map(|offset| offset - 1),
            position: None,
            at_end: false,
            outages: 0,
        }
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
        self.at_end && self.buffer.is_empty() && self.state == State::Idle
    }

    /// Whether a batch is being handled.
    pub(crate) fn is_busy(&self) -> bool {
        self.state == State::Busy
    }

    /// Whether nothing will happen before `wakes_at` or the next delivery.
    pub(crate) fn is_settled(&self, now: Instant) -> bool {
        match self.state {
            State::Idle => self.buffer.is_empty() || !self.head_is_due(now),
            State::Busy => false,
            State::Waiting { until } => until > now,
        }
    }

    /// How many messages wait.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
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
        self.head_is_due(now)
            && match self.state {
                State::Busy => false,
                State::Waiting { until } => until <= now,
                State::Idle => self.linger_until().is_none_or(|until| until <= now),
            }
    }

    /// Takes the next batch, if its time has come.
    pub(crate) fn take_batch(&mut self, now: Instant) -> Option<Batch> {
        if !self.is_ready(now) {
            return None;
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
        for Queued { record, .. } in self.buffer.drain(..handled.min(self.buffer.len())) {
            self.buffer_bytes -= record.weight_bytes();
            moved = Some(record.offset + 1);
        }
        if let Some(position) = moved {
            self.position = moved;
            self.outages = 0;
            self.failing = self.failing.filter(|failing| failing.offset >= position);
        }
        self.lingering_since = (!self.buffer.is_empty()).then_some(now);
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
        };
        moved
    }

    /// How many outages in a row have held the head.
    pub(crate) fn outages(&self) -> u32 {
        self.outages
    }

    /// Whether it holds as much as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() >= self.limits.buffer_max || self.buffer_bytes >= self.limits.buffer_bytes_max
    }

    /// Whether its partition is paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Notes that its partition is paused.
    pub(crate) fn pause(&mut self) {
        self.paused = true;
    }

    /// Whether its partition, which is paused, is to be resumed now: at half its bounds, so that it does not flutter.
    pub(crate) fn resume(&mut self) -> bool {
        let low =
            self.buffer.len() <= self.limits.buffer_max / 2 && self.buffer_bytes <= self.limits.buffer_bytes_max / 2;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: LaneLimits = LaneLimits {
        batch_max: 4,
        batch_bytes_max: 10_000,
        linger: Duration::ZERO,
        buffer_max: 6,
        buffer_bytes_max: 1_000_000,
    };

    fn record(offset: i64) -> Arc<RawRecord> {
        sized(offset, 0)
    }

    fn sized(offset: i64, bytes: usize) -> Arc<RawRecord> {
        Arc::new(RawRecord {
            topic: "t".into(),
            partition: 0,
            offset,
            timestamp_ms: None,
            key: None,
            value: Some(vec![0; bytes]),
            ..RawRecord::default()
        })
    }

    fn lane(offsets: impl IntoIterator<Item = i64>, now: Instant) -> Lane {
        let mut lane = Lane::new(LIMITS, None);
        for offset in offsets {
            assert_eq!(lane.deliver(record(offset), None, now), Delivered::InOrder);
        }
        lane
    }

    #[test]
    fn a_batch_starts_at_once_when_the_lane_is_idle() {
        let now = Instant::now();
        let mut lane = lane([5, 7], now);
        let batch = lane.take_batch(now).unwrap();
        assert_eq!((batch.records.len(), batch.failures), (2, 0));
        assert!(lane.take_batch(now).is_none(), "one batch at a time");
        assert_eq!(lane.finish(2, None, now), Some(8));
    }

    #[test]
    fn counts_attempts_of_the_head_only() {
        let now = Instant::now();
        let mut lane = lane(0..3, now);
        let delay = Duration::from_secs(2);
        lane.take_batch(now).unwrap();
        assert_eq!(lane.finish(1, Some(&Stop::Retry(delay)), now), Some(1), "what is before the failing one is done");
        assert!(lane.take_batch(now + delay / 2).is_none());
        assert_eq!(lane.wakes_at(), Some(now + delay));
        let batch = lane.take_batch(now + delay).unwrap();
        assert_eq!((batch.records[0].offset, batch.failures), (1, 1));
        assert_eq!(lane.finish(0, Some(&Stop::Retry(delay)), now + delay), None);
        assert_eq!(lane.take_batch(now + delay * 2).unwrap().failures, 2);
        lane.finish(1, None, now + delay * 2);
        assert_eq!(lane.take_batch(now + delay * 2).unwrap().failures, 0, "a new offset starts anew");
    }

    #[test]
    fn an_outage_counts_no_attempt_and_backs_off() {
        let now = Instant::now();
        let mut lane = lane([0], now);
        let mut at = now;
        let mut waits = vec![];
        for _ in 0..9 {
            assert_eq!(lane.take_batch(at).unwrap().failures, 0);
            lane.finish(0, Some(&Stop::Outage), at);
            waits.push((lane.wakes_at().unwrap() - at).as_millis());
            at = lane.wakes_at().unwrap();
        }
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    }

    #[test]
    fn lingers_only_while_there_is_room_in_the_batch() {
        let now = Instant::now();
        let mut lane = Lane::new(LaneLimits { linger: Duration::from_millis(5), ..LIMITS }, None);
        lane.deliver(record(0), None, now);
        assert!(lane.take_batch(now).is_none());
        assert_eq!(lane.wakes_at(), Some(now + Duration::from_millis(5)));
        for offset in 1..4 {
            lane.deliver(record(offset), None, now);
        }
        assert_eq!(lane.take_batch(now).unwrap().records.len(), 4, "full: no reason to wait");
    }

    #[test]
    fn bounds_a_batch_by_bytes_but_lets_one_large_message_through() {
        let now = Instant::now();
        let mut lane = Lane::new(LIMITS, None);
        lane.deliver(sized(0, 50_000), None, now);
        lane.deliver(sized(1, 9_000), None, now);
        lane.deliver(sized(2, 9_000), None, now);
        for offset in 0..3 {
            let batch = lane.take_batch(now).unwrap();
            assert_eq!(batch.records.iter().map(|r| r.offset).collect::<Vec<_>>(), [offset]);
            lane.finish(1, None, now);
        }
    }

    #[test]
    fn is_full_at_its_bounds_and_resumes_at_half() {
        let now = Instant::now();
        let mut lane = lane(0..5, now);
        assert!(!lane.is_full());
        lane.deliver(record(5), None, now);
        assert!(lane.is_full());
        lane.pause();
        assert!(!lane.resume(), "6 of 6");
        lane.take_batch(now).unwrap();
        lane.finish(1, None, now);
        assert!(!lane.is_full() && !lane.resume(), "5 of 6");
        lane.take_batch(now).unwrap();
        lane.finish(4, None, now);
        assert!(lane.resume() && !lane.is_paused());
        assert!(!lane.resume(), "once");
    }

    #[test]
    fn a_retry_waits_for_its_time_and_what_is_behind_it_waits_with_it() {
        let now = Instant::now();
        let at = |s| now + Duration::from_secs(s);
        let mut lane = Lane::new(LIMITS, None);
        for (offset, due) in [(0, Some(at(2))), (1, Some(at(1))), (2, None), (3, Some(at(9)))] {
            lane.deliver(record(offset), due, now);
        }
        assert!(lane.take_batch(at(1)).is_none());
        assert!(lane.is_settled(at(1)));
        assert_eq!(lane.wakes_at(), Some(at(2)));
        assert_eq!(lane.take_batch(at(2)).unwrap().records.len(), 3, "all that is due");
        lane.finish(3, None, at(2));
        assert_eq!(lane.wakes_at(), Some(at(9)));
        assert!(!lane.is_settled(at(9)));
    }

    #[test]
    fn a_message_that_is_tried_again_is_remembered_when_its_partition_comes_back() {
        let now = Instant::now();
        let delay = Duration::from_secs(60);
        let mut before = lane(4..6, now);
        before.take_batch(now).unwrap();
        before.finish(1, Some(&Stop::Retry(delay)), now);

        let offsets = |batch: &Batch| batch.records.iter().map(|r| r.offset).collect::<Vec<_>>();
        // Committed up to it, or not.
        for first in [5, 3] {
            let mut lane = Lane::new(LIMITS, None).with_failing(before.failing());
            for offset in first..7 {
                lane.deliver(record(offset), None, now);
            }
            if first == 3 {
                assert_eq!(offsets(&lane.take_batch(now).unwrap()), [3, 4], "what is before it does not wait");
                lane.finish(2, None, now);
            }
            assert!(lane.take_batch(now + delay / 2).is_none() && lane.is_settled(now));
            assert_eq!(lane.wakes_at(), Some(now + delay));
            let batch = lane.take_batch(now + delay).unwrap();
            assert_eq!((offsets(&batch), batch.failures), (vec![5, 6], 1));
            lane.finish(1, None, now);
            assert_eq!(lane.failing(), None);
        }
        // Somebody else has passed it meanwhile.
        let mut lane = Lane::new(LIMITS, None).with_failing(before.failing());
        lane.deliver(record(9), None, now);
        assert_eq!(lane.take_batch(now).unwrap().failures, 0);
        lane.finish(1, None, now);
        assert_eq!(lane.failing(), None);
    }

    #[test]
    fn offsets_that_begin_again_are_new_messages() {
        let now = Instant::now();
        let delay = Duration::from_secs(1);
        let mut lane = lane(6..9, now);
        lane.take_batch(now).unwrap();
        lane.finish(2, Some(&Stop::Retry(delay)), now);
        assert_eq!(lane.deliver(record(0), None, now), Delivered::WentBack);
        assert_eq!(lane.deliver(record(8), None, now), Delivered::InOrder);
        assert_eq!(lane.expected_offset(), Some(9));
        let offsets = |batch: &Batch| batch.records.iter().map(|r| r.offset).collect::<Vec<_>>();
        let old = lane.take_batch(now + delay).unwrap();
        assert_eq!((offsets(&old), old.failures), (vec![8], 1), "what came before is a batch of its own");
        assert_eq!(lane.finish(1, None, now), Some(9));
        let new = lane.take_batch(now + delay).unwrap();
        assert_eq!(offsets(&new), [0, 8]);
        assert_eq!(lane.finish(1, None, now), Some(1), "the position follows");
        assert_eq!(lane.take_batch(now).unwrap().failures, 0, "the failures of another message of this offset");
    }

    #[test]
    fn expects_its_start_first() {
        assert_eq!(Lane::new(LIMITS, None).expected_offset(), None);
        let mut lane = Lane::new(LIMITS, Some(3));
        assert_eq!((lane.expected_offset(), lane.position()), (Some(3), None));
        assert_eq!(lane.deliver(record(3), None, Instant::now()), Delivered::InOrder);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
        /// Whatever is handled, fails, or is held up: every message is handled once and in order, and the offset to
        /// store never passes one that was not handled.
        #[test]
        fn the_position_is_the_handled_prefix(
            gaps in proptest::collection::vec(1_i64..4, 1..40),
            steps in proptest::collection::vec((0_usize..6, 0_u8..4), 1..80),
        ) {
            let mut now = Instant::now();
            let mut lane = Lane::new(LIMITS, None);
            let mut offsets = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) });
            let mut delivered = vec![];
            let mut handled = vec![];
            for (n, what) in steps {
                for offset in offsets.by_ref().take(n) {
                    delivered.push(offset);
                    lane.deliver(record(offset), None, now);
                }
                now += Duration::from_secs(60);
                if let Some(batch) = lane.take_batch(now) {
                    let done = n.min(batch.records.len());
                    handled.extend(batch.records[..done].iter().map(|r| r.offset));
                    let stop = match what {
                        _ if done == batch.records.len() => None,
                        0 => Some(Stop::Retry(Duration::from_secs(1))),
                        1 => Some(Stop::Outage),
                        _ => Some(Stop::Cancelled),
                    };
                    lane.finish(done, stop.as_ref(), now);
                }
                prop_assert_eq!(lane.position(), handled.last().map(|last| last + 1));
            }
            prop_assert_eq!(&handled[..], &delivered[..handled.len()]);
            prop_assert_eq!(lane.len(), delivered.len() - handled.len());
        }
    }
}
