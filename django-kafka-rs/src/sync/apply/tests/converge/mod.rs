//! Rows that wait for others converge: whatever order parents, children and grandchildren come in, whatever fails, is
//! retried, is read again or is killed in between, and whichever daemon has what waits in hand.

mod expect;
mod scene;
mod told;
mod world;

use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use self::scene::{Fails, Scene, TOPICS};
use self::world::{Crash, Message, PARTITIONS, Poison, Step, World};
use super::*;

fn message() -> impl Strategy<Value = Message> {
    let columns = prop_oneof![4 => Just(Some(0b111)), 4 => (0..8_u8).prop_map(Some), 3 => Just(None)];
    let fails = prop_oneof![Just(Fails::Decoding), Just(Fails::Late)];
    let poison = prop_oneof![20 => Just(Poison::Nowhere), 1 => Just(Poison::Everywhere), 1 => Just(Poison::Parked)];
    // 0 is null; there is no message of key 4.
    let refers = [0..5_i64, 0..5_i64];
    (0..TOPICS.len(), 1..4_i64, columns, refers, fails, 0..3_u8, poison).prop_map(
        |(topic, key, columns, refers, fails, failures_max, poison)| Message {
            topic,
            key,
            columns,
            refers,
            fails,
            failures_max,
            // A deletion that waits has ended already what waited of its key; what it says is not lost with it.
            poison: if poison == Poison::Parked && columns.is_none() { Poison::Nowhere } else { poison },
        },
    )
}

fn crash() -> impl Strategy<Value = Crash> {
    prop_oneof![
        20 => Just(Crash::Never),
        1 => (1..3_usize).prop_map(Crash::BeforeCommit),
        1 => Just(Crash::BeforeSending),
        1 => Just(Crash::BeforeStoring),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let topic = || 0..TOPICS.len();
    // A quarter of the messages.
    let failing = || (any::<u16>(), any::<u16>()).prop_map(|(a, b)| a & b);
    let life = || prop_oneof![4 => Just(None), 1 => (0..12_u32).prop_map(Some)];
    prop_oneof![
        12 => (topic(), 0..PARTITIONS, 1..6_usize, failing(), crash()).prop_map(
            |(topic, partition, size, failing, crash)| Step::Lane { topic, partition, size, failing, crash }
        ),
        5 => (topic(), 1..6_usize, any::<u16>(), failing(), crash()).prop_map(
            |(topic, size, order, failing, crash)| Step::Retry { topic, size, order, failing, crash }
        ),
        6 => (0..2_usize, 0..6_u8, life()).prop_map(|(daemon, which, life)| Step::Claim { daemon, which, life }),
        6 => (0..2_usize, failing(), life()).prop_map(|(daemon, failing, life)| Step::Settle { daemon, failing, life }),
        1 => (0..2_usize).prop_map(|daemon| Step::Kill { daemon }),
        2 => Just(Step::Expire),
        2 => Just(Step::Advance),
        2 => failing().prop_map(|failing| Step::Look { failing }),
    ]
}

/// A log, and what happens to it.
#[derive(Clone)]
struct Story {
    log: Vec<Message>,
    steps: Vec<Step>,
}

impl std::fmt::Debug for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.log.iter().enumerate().map(|(at, message)| format!("\n  {at} {message:?}"));
        let steps = self.steps.iter().enumerate().map(|(at, step)| format!("\n  {at} {step:?}"));
        f.write_str(&lines.chain(["\n".to_owned()]).chain(steps).collect::<String>())
    }
}

fn story() -> impl Strategy<Value = Story> {
    (prop::collection::vec(message(), 1..40), prop::collection::vec(step(), 1..60))
        .prop_map(|(log, steps)| Story { log, steps })
}

fn check(scene: &Scene<'_>, story: &Story) -> Result<(), TestCaseError> {
    checked(scene, story).map(drop)
}

/// The same; the world as it is at the end.
fn checked<'a>(scene: &'a Scene<'a>, story: &'a Story) -> Result<World<'a>, TestCaseError> {
    let mut world = World::new(scene, &story.log);
    for (number, step) in story.steps.iter().enumerate() {
        world.run(step);
        if world.is_settled() {
            prop_assert_eq!(world.rows_mistake(false), None, "after step {}: {:?}", number, step);
        }
    }
    world.drain();
    prop_assert_eq!(world.rows_mistake(true), None, "at the end");
    prop_assert_eq!(world.waiting_mistake(), None, "at the end");
    Ok(world)
}

/// Tells stories, one of `of_default` of proptest's cases: other ones in every run, unless `PROPTEST_RNG_SEED` names
/// them. A story is some 60 transactions.
fn tell(bench: &Bench, of_default: u32) {
    let config = ProptestConfig::default();
    let seed = match config.rng_seed {
        RngSeed::Random => RandomState::new().hash_one(()),
        RngSeed::Fixed(seed) => seed,
    };
    let (cases, rng_seed) = (config.cases, RngSeed::Fixed(seed));
    let config = ProptestConfig { cases: cases.div_ceil(of_default), rng_seed, failure_persistence: None, ..config };
    if let Err(error) = TestRunner::new(config).run(&story(), |story| check(&Scene::new(bench), &story)) {
        panic!("PROPTEST_RNG_SEED={seed} PROPTEST_CASES={cases} tells the same stories. {error}");
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn tables_converge_and_what_waits_has_no_parent_on_sqlite() {
    tell(&scene::database(Bench::new), 6);
}

#[cfg(feature = "postgres")]
#[test]
fn tables_converge_and_what_waits_has_no_parent_on_postgresql() {
    if crate::db::scratch::server().is_some() {
        tell(&scene::database(|topic, sql| Bench::postgres(topic, sql).unwrap()), 12);
    }
}
