//! Stories that have gone wrong once.

use super::scene::{Fails, Scene};
use super::world::{Crash, Message, Poison, Step, World};
use super::*;

const CUSTOMERS: usize = 0;
const ORDERS: usize = 1;
const NODES: usize = 3;
/// All columns.
const WHOLE: Option<u8> = Some(0b111);

fn message(topic: usize, key: i64, columns: Option<u8>, refers: i64) -> Message {
    let poison = Poison::Nowhere;
    Message { topic, key, columns, refers: [refers, 0], fails: Fails::Decoding, failures_max: 0, poison }
}

/// A batch of the lane that all keys here are in.
fn lane(topic: usize, size: usize, failing: u16, crash: Crash) -> Step {
    Step::Lane { topic, partition: 0, size, failing, crash }
}

/// Tells a story on each database.
fn tell(log: &[Message], steps: &[Step]) {
    tell_to_the_end(log, steps, |_| {});
}

/// The same, with a look at how it ends.
fn tell_to_the_end(log: &[Message], steps: &[Step], end: impl Fn(&World<'_>)) {
    let story = Story { log: log.to_vec(), steps: steps.to_vec() };
    let told = |bench: &Bench| end(&checked(&Scene::new(bench), &story).unwrap());
    #[cfg(feature = "sqlite")]
    told(&scene::database(Bench::new));
    #[cfg(feature = "postgres")]
    if crate::db::scratch::server().is_some() {
        told(&scene::database(|topic, sql| Bench::postgres(topic, sql).unwrap()));
    }
}

/// Of two copies in one batch of a retry topic, the first waits: the second is not done with, and the ordering guard must
/// not take the first for a repetition when it is replayed.
#[test]
fn a_copy_of_a_message_that_waits_is_not_done_with() {
    let fails_twice = Message { failures_max: 2, ..message(ORDERS, 2, WHOLE, 0) };
    let log = [message(ORDERS, 2, WHOLE, 1), fails_twice];
    let again = Step::Retry { topic: ORDERS, size: 1, order: 0, failing: 1, crash: Crash::BeforeStoring };
    tell(&log, &[lane(ORDERS, 2, 0b10, Crash::Never), again]);
}

/// The message is in the dead letter topic. What it wrote before is overwritten by an older one that was read again with
/// it: nothing that can be known then says otherwise.
#[test]
fn a_message_that_dies_when_it_is_read_again_has_an_older_one_written_over_it() {
    let dies = Message { poison: Poison::Parked, ..message(NODES, 2, WHOLE, 2) };
    let log = [message(NODES, 2, Some(0b001), 1), dies, message(NODES, 1, WHOLE, 0)];
    tell(&log, &[lane(NODES, 2, 0, Crash::BeforeSending)]);
}

/// What a deletion that waits would have deleted is not written again by a retry of an older message, once a newer one
/// has taken the deletion's place: the ordering guard knows of the deletion too.
#[test]
fn a_late_retry_does_not_bring_back_what_was_deleted_before_its_key_was_used_again() {
    let fails = Message { failures_max: 1, ..message(CUSTOMERS, 2, WHOLE, 0) };
    let anew = message(CUSTOMERS, 2, Some(0b010), 0);
    let log =
        [message(CUSTOMERS, 2, WHOLE, 0), fails, message(CUSTOMERS, 2, None, 0), anew, message(ORDERS, 2, WHOLE, 2)];
    tell(&log, &[lane(CUSTOMERS, 2, 0b10, Crash::Never), lane(ORDERS, 1, 0, Crash::Never)]);
}

/// A late message of which the ordering guard has left a part waits, with a newer one behind it: they are written
/// together, each with its own columns and without the one that a message between them wrote.
#[test]
fn what_the_guard_left_of_a_message_that_waits_is_written_with_what_waits_behind_it() {
    let late = Message { failures_max: 1, ..message(ORDERS, 2, WHOLE, 2) };
    let (between, behind) = (message(ORDERS, 2, Some(0b010), 0), message(ORDERS, 2, Some(0b100), 0));
    let log = [late, between, behind, message(CUSTOMERS, 2, WHOLE, 0)];
    let retry = Step::Retry { topic: ORDERS, size: 1, order: 0, failing: 0, crash: Crash::Never };
    tell(&log, &[lane(ORDERS, 2, 0b01, Crash::Never), retry, lane(ORDERS, 1, 0, Crash::Never)]);
}

/// Two rows refer to each other, in the replica only: by the time of one the other had been untied. The messages which
/// untied them wait for a row, until deletions come; and neither deletion waits for the other.
#[test]
fn rows_that_refer_to_each_other_do_not_wait_for_each_others_deletion() {
    let missing = 3;
    let log = [
        message(NODES, 2, WHOLE, 0),
        message(NODES, 1, WHOLE, 2),
        message(NODES, 1, WHOLE, missing),
        message(NODES, 2, WHOLE, 1),
        message(NODES, 2, WHOLE, missing),
        message(NODES, 1, None, 0),
        message(NODES, 2, None, 0),
    ];
    let next = |partition| Step::Lane { topic: NODES, partition, size: 1, failing: 0, crash: Crash::Never };
    tell_to_the_end(&log, &[next(0), next(1), next(0), next(1), next(0), next(1), next(0)], |world| {
        assert!(world.parked.is_empty(), "{:?} wait", world.parked);
    });
}
