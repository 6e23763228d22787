//! Chaos: faults at random moments while a load goes on, round after round. A round is a fault, or two at a time, and
//! recovery; after some rounds the load pauses until everything is settled, and then it is all counted: the tables are
//! the fold of the log by key, each poison message is a dead letter and nothing else is, retry topics hold nothing that
//! is not done.
//!
//! `just chaos ROUNDS [SEED]`. What is thrown follows from the seed; what it meets does not, quite. To look closer:
//! `CHAOS_FAULTS="broker frozen,member killed"` meets only these, `CHAOS_LOGS=folder` keeps the members' logs there,
//! `CHAOS_SERVICE=path` runs another build of the service, `DJANGO_KAFKA__…` are settings to be tried.

mod fault;
mod load;
mod recreated;
mod report;
mod verify;
mod world;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::fault::{Fault, Part};
use self::report::Report;
use self::world::{LIMIT, World, hold};
use crate::harness::{Dice, wait_at_most};
use crate::scene::Protocol;

/// Rounds between two verifications.
const CYCLE: u64 = 3;

const PROTOCOLS: [Protocol; 3] = [Protocol::Cooperative, Protocol::Consumer, Protocol::Eager];

#[test]
fn rounds_of_faults_lose_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rounds = number("CHAOS_ROUNDS").unwrap_or(6);
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let seed = number("CHAOS_SEED").unwrap_or_else(clock);
    let protocol = PROTOCOLS[(seed % 3) as usize];
    eprintln!("chaos: seed {seed}, {rounds} rounds, {protocol:?}");
    let mut dice = Dice::new(seed);
    let mut deck = Deck::new(dice.split(), std::env::var("CHAOS_FAULTS").ok().as_deref());
    let mut world = World::start(dice, protocol, std::env::var_os("CHAOS_LOGS").as_deref().map(Path::new));
    let mut report = Report::default();
    for round in 1..=rounds {
        let faults = deck.draw();
        run_round(&mut world, round, &faults, &mut report);
        if round.is_multiple_of(CYCLE) || round == rounds {
            settle(&mut world, seed, round, &mut report);
        }
    }
    eprintln!("chaos: seed {seed}\n{report}");
}

/// Every fault comes up before any comes up again.
struct Deck {
    dice: Dice,
    all: Vec<Fault>,
    left: Vec<Fault>,
}

impl Deck {
    /// `names`: of the only faults to be met, with commas between.
    fn new(dice: Dice, names: Option<&str>) -> Self {
        let is_wanted = |fault: &&Fault| names.is_none_or(|names| names.split(',').any(|name| name == fault.name()));
        let all: Vec<Fault> = Fault::ALL.iter().filter(is_wanted).copied().collect();
        assert!(!all.is_empty(), "no fault is called so: {names:?}; there are {:?}", Fault::ALL.map(Fault::name));
        Self { dice, all, left: Vec::new() }
    }

    /// One fault, or two of different parts.
    fn draw(&mut self) -> Vec<Fault> {
        let first = self.next();
        let second = self.dice.one_in(3).then(|| self.all[self.dice.in_range(0..self.all.len() as u64) as usize]);
        let mut faults = vec![first];
        faults.extend(second.filter(|second| second.part() != first.part()));
        // Those that need the others to be well.
        faults.sort_by_key(|fault| !fault.comes_first());
        faults
    }

    fn next(&mut self) -> Fault {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
            self.dice.shuffle(&mut self.left);
        }
        self.left.pop().unwrap()
    }
}

/// The faults begin in the middle of a load, last, end, and what was produced by then is passed.
fn run_round(world: &mut World, round: u64, faults: &[Fault], report: &mut Report) {
    world.load().begin_round(round);
    let before = Duration::from_millis(world.dice.in_range(200..2_000));
    hold(before);
    let mut undo = Vec::new();
    let mut longest = Duration::ZERO;
    for fault in faults {
        let lasts = fault.lasts(&mut world.dice);
        longest = longest.max(lasts);
        let between = Duration::from_millis(world.dice.in_range(0..700));
        undo.push((fault.part(), fault.begin(world, lasts)));
        hold(between);
    }
    hold(longest);
    // Members last: they need the rest to start.
    undo.sort_by_key(|(part, _)| *part == Part::Members);
    for (_, undo) in undo {
        undo(world);
    }
    let ended = Instant::now();
    let ends = wait_at_most(LIMIT, "the broker says its ends", || world.verifier().ends());
    wait_at_most(LIMIT, "what was produced is passed", || world.verifier().passed(&ends));
    world.check_members();
    report.round(round, faults, longest, ended.elapsed());
}

/// The load pauses, and everything is settled and verified.
fn settle(world: &mut World, seed: u64, round: u64, report: &mut Report) {
    world.load().pause();
    let started = Instant::now();
    wait_at_most(LIMIT, "everything is settled", || world.verifier().settled());
    let settled = started.elapsed();
    match world.verifier().verify() {
        Ok(found) => report.verified(round, settled, found),
        Err(why) => panic!("seed {seed}, up to round {round}: {why}\n{report}"),
    }
    let unexcused = report.unexcused();
    assert!(unexcused.is_empty(), "seed {seed}: handled twice for no reason: {unexcused:?}\n{report}");
}
