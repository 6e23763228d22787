//! What a run has met.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::fault::{Fault, Part};
use super::verify::Found;

#[derive(Default)]
pub(super) struct Report {
    rounds: BTreeMap<u64, Round>,
    found: Found,
    verified: u32,
}

struct Round {
    faults: Vec<Fault>,
    recovery: Duration,
}

#[derive(Default)]
struct Line {
    rounds: usize,
    recovery_max: Duration,
    doubled: usize,
    repeated: usize,
}

impl Report {
    pub(super) fn round(&mut self, round: u64, faults: &[Fault], lasted: Duration, recovery: Duration) {
        let names: Vec<&str> = faults.iter().map(|fault| fault.name()).collect();
        eprintln!("chaos: round {round}: {} for {lasted:.1?}; recovered in {recovery:.1?}", names.join(" + "));
        self.rounds.insert(round, Round { faults: faults.to_vec(), recovery });
    }

    /// `found` counts from the beginning.
    pub(super) fn verified(&mut self, round: u64, settled: Duration, found: Found) {
        eprintln!(
            "chaos: up to round {round}: settled in {settled:.1?}, and true of {} messages, {} of them poison; {} dead \
             letters doubled, {} effects repeated",
            found.messages,
            found.poison,
            found.doubled_letters.len(),
            found.repeated_effects.len()
        );
        self.found = found;
        self.verified += 1;
    }

    /// Rounds in which messages were handled twice, although no fault of theirs, or of the two after, excuses it: a
    /// message that is retried may meet those as well. Nor a fault of the broker in the round before: members whose
    /// heartbeats found it late are put out of the group up to a session's length after it is back, and what they have
    /// in hand then is of the next round.
    pub(super) fn unexcused(&self) -> BTreeSet<u64> {
        let all = self.found.doubled_letters.iter().chain(&self.found.repeated_effects);
        let any = |round: u64, which: fn(&Fault) -> bool| {
            self.rounds.get(&round).is_some_and(|round| round.faults.iter().any(which))
        };
        let late = |fault: &Fault| fault.part() == Part::Broker && fault.may_repeat();
        let excused = |round: u64| {
            (round..=round + 2).any(|round| any(round, |fault| fault.may_repeat())) || any(round.wrapping_sub(1), late)
        };
        all.copied().filter(|round| !excused(*round)).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: BTreeMap<String, Line> = BTreeMap::new();
        for (number, round) in &self.rounds {
            let count = |rounds: &[u64]| rounds.iter().filter(|n| *n == number).count();
            let names: Vec<&str> = round.faults.iter().map(|fault| fault.name()).collect();
            let line = lines.entry(names.join(" + ")).or_default();
            line.rounds += 1;
            line.recovery_max = line.recovery_max.max(round.recovery);
            line.doubled += count(&self.found.doubled_letters);
            line.repeated += count(&self.found.repeated_effects);
        }
        writeln!(
            f,
            "{} rounds, {} messages, {} poison, verified {} times",
            self.rounds.len(),
            self.found.messages,
            self.found.poison,
            self.verified
        )?;
        writeln!(
            f,
            "{:62} {:>6} {:>13} {:>15} {:>16}",
            "faults", "rounds", "recovery max", "doubled letters", "repeated effects"
        )?;
        for (names, line) in lines {
            let recovery = format!("{:.1} s", line.recovery_max.as_secs_f64());
            writeln!(f, "{names:62} {:>6} {recovery:>13} {:>15} {:>16}", line.rounds, line.doubled, line.repeated)?;
        }
        Ok(())
    }
}
