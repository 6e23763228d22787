//! What a lane does, step by step and by property.

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
fn the_next_batch_is_known_once_all_of_it_is_there() {
    let now = Instant::now();
    let offsets = |records: Vec<Arc<RawRecord>>| records.iter().map(|record| record.offset).collect::<Vec<_>>();
    let mut lane = lane(0..7, now);
    assert!(lane.next_batch(0).is_none(), "nothing is in hand: it can be taken");
    let in_hand = lane.take_batch(now).unwrap().records.len();
    assert_eq!(in_hand, LIMITS.batch_max);
    assert!(lane.next_batch(in_hand).is_none(), "three of four");
    lane.deliver(record(7), None, now);
    assert_eq!(lane.next_batch(in_hand).map(offsets), Some(vec![4, 5, 6, 7]));
    lane.finish(in_hand, None, now);
    assert_eq!(lane.take_batch(now).map(|batch| offsets(batch.records)), Some(vec![4, 5, 6, 7]));
}

#[test]
fn the_next_batch_holds_no_more_bytes_than_a_batch() {
    let now = Instant::now();
    let mut lane = lane([0], now);
    let in_hand = lane.take_batch(now).unwrap().records.len();
    for offset in 1..5 {
        lane.deliver(sized(offset, LIMITS.batch_bytes_max / 2), None, now);
    }
    assert_eq!(lane.next_batch(in_hand).unwrap().len(), 1);
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
    let max = LIMITS.load_max(1, Load::default());
    let mut lane = lane(0..5, now);
    assert!(!lane.is_full(max));
    lane.deliver(record(5), None, now);
    assert!(lane.is_full(max));
    lane.pause();
    assert!(!lane.resume(max), "6 of 6");
    lane.take_batch(now).unwrap();
    lane.finish(1, None, now);
    assert!(!lane.is_full(max) && !lane.resume(max), "5 of 6");
    lane.take_batch(now).unwrap();
    lane.finish(4, None, now);
    assert!(lane.resume(max) && !lane.is_paused());
    assert!(!lane.resume(max), "once");
}

#[test]
fn gives_back_what_it_is_done_with_once() {
    let now = Instant::now();
    let mut lane = lane(0..5, now);
    lane.take_batch(now).unwrap();
    lane.finish(3, Some(&Stop::Cancelled), now);
    assert_eq!(lane.take_spent().iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(lane.take_spent().is_empty());
    lane.take_batch(now).unwrap();
    lane.finish(0, Some(&Stop::Outage), now);
    assert!(lane.take_spent().is_empty(), "what is tried again stays");
}

#[test]
fn many_lanes_share_what_four_may_hold() {
    let max_of = |lanes, messages| LIMITS.load_max(lanes, Load { messages, bytes: 0 }).messages;
    assert_eq!((max_of(4, 24), max_of(4, 100)), (6, 6), "four have no less than they would alone");
    assert_eq!((max_of(8, 23), max_of(8, 24)), (6, 3), "room for all, and none");
    assert_eq!(max_of(1_000, 24), 1, "a lane that has nothing is not full");
    let large = Load { messages: 8, bytes: 4_000_000 };
    assert_eq!(LIMITS.load_max(8, large), Load { messages: 3, bytes: 500_000 }, "bytes count as well");
}

proptest! {
    /// Whoever waits until no lane is full waits for lanes that have something, and not while there is room.
    #[test]
    fn lanes_are_bounded_together(held in prop::collection::vec((0_usize..9, 0_usize..2_000_000), 1..40)) {
        let loads: Vec<Load> = held.into_iter().map(|(messages, bytes)| Load { messages, bytes }).collect();
        let all: Load = loads.iter().copied().sum();
        let max = LIMITS.load_max(loads.len(), all);
        let full: Vec<&Load> = loads.iter().filter(|load| load.reaches(max)).collect();
        prop_assert!(full.iter().all(|load| load.messages > 0 || load.bytes > 0));
        if all.messages >= 24 || all.bytes >= 4_000_000 {
            prop_assert!(!full.is_empty());
        } else {
            prop_assert_eq!(max, LIMITS.load_max(1, Load::default()));
        }
    }
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
fn is_claimed_before_anything_is_handled_and_again_when_it_is_fenced() {
    let now = Instant::now();
    let mut lane = Lane::new(LIMITS, Some(3)).in_database();
    lane.reached_end();
    assert!(!lane.is_settled(now) && !lane.is_finished());
    assert_eq!(lane.take_batch(now).unwrap().records.len(), 0);
    for offset in 3..6 {
        lane.deliver(record(offset), None, now);
    }
    assert!(lane.take_batch(now).is_none(), "one at a time");
    lane.finish(0, Some(&Stop::Outage), now);
    let later = lane.wakes_at().unwrap();
    assert_eq!(lane.take_batch(later).unwrap().records.len(), 0, "still to be claimed");
    assert_eq!(lane.finish(0, None, later), None);
    lane.advance_to(5);
    let batch = lane.take_batch(later).unwrap();
    assert_eq!(batch.records.iter().map(|r| r.offset).collect::<Vec<_>>(), [5], "the rest is handled already");
    lane.finish(0, Some(&Stop::Fenced), later);
    assert!(lane.is_settled(later) && lane.take_batch(later).is_none());
    let later = lane.wakes_at().unwrap();
    assert_eq!(lane.take_batch(later).unwrap().records.len(), 0);
    lane.finish(0, None, later);
    lane.advance_to(9);
    assert_eq!((lane.load().messages, lane.position(), lane.expected_offset()), (0, Some(9), Some(9)));
    assert_eq!(lane.deliver(record(8), None, later), Delivered::Repeated);
    assert_eq!(lane.deliver(record(9), None, later), Delivered::InOrder);
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
        prop_assert_eq!(lane.load().messages, delivered.len() - handled.len());
    }
}
