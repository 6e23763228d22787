//! What one thing costs: the service with it, beside the same service without, in turns, on the same topic.

use crate::messages::{self, Work};
use crate::process::{self, Measured};
use crate::report::{self, median};
use crate::{Bench, Failure, KEYS, Options, PARTITIONS};

/// Two of the service's consumers, which differ in one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pair {
    /// An account waits for its owner; all owners are there.
    Relations,
    /// Offsets in the database, beside those in Kafka.
    Offsets,
    /// The ordering guard of a topic with retry topics, where nothing fails.
    Guard,
}

impl Pair {
    /// Without it and with it: what to call them, and the consumers.
    fn sides(self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::Relations => [("without relations", "Accounts"), ("with relations", "OwnedAccounts")],
            Self::Offsets => [("offsets in Kafka", "Accounts"), ("offsets in the database", "ExactAccounts")],
            Self::Guard => [("guard off", "UnguardedAccounts"), ("guard on", "GuardedAccounts")],
        }
    }
}

pub(crate) fn bench(options: &Options, bench: &Bench, pair: Pair) -> Result<(), Failure> {
    for &count in &options.messages {
        report::say(&format!("{count} messages of {KEYS} keys on {PARTITIONS} partitions"))?;
        let topic = format!("{}_{count}", bench.name);
        bench.broker.create_topic(&topic, PARTITIONS)?;
        let left = messages::produce(bench.broker.servers(), &Work::plain(&topic, count))?;
        let mut rounds = Rounds { bench, topic, count, rows: left.rows, hash: None };
        let mut measured = [Vec::new(), Vec::new()];
        for round in usize::from(!options.warm_up)..=options.rounds {
            // Who comes first changes: what else the machine does may grow or shrink.
            let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for side in order {
                let run = rounds.one(pair.sides()[side], round)?;
                if round > 0 {
                    measured[side].push(run);
                }
            }
        }
        say(pair, &measured)?;
    }
    Ok(())
}

struct Rounds<'b> {
    bench: &'b Bench,
    topic: String,
    count: u64,
    rows: u64,
    /// Of the rows that the first run left.
    hash: Option<String>,
}

impl Rounds<'_> {
    /// Round 0 is not counted.
    fn one(&mut self, (label, consumer): (&str, &str), round: usize) -> Result<Measured, Failure> {
        let Bench { database, broker, .. } = self.bench;
        database.empty()?;
        let group = format!("{}_{round}", self.topic);
        let command = self.bench.place(&self.topic, &group).until_end(consumer);
        let measured =
            process::run(vec![command], self.count).map_err(|error| format!("{label}, round {round}: {error}"))?;
        let committed = broker.committed(&self.topic, &format!("{group}.{consumer}"), PARTITIONS)?;
        let (rows, hash) = database.rows(false)?;
        let first = self.hash.get_or_insert_with(|| hash.clone());
        if (committed, rows) != (self.count, self.rows) || *first != hash {
            return Err(format!(
                "{label}, round {round}: {committed} of {} messages are committed, and {rows} of {} rows are there, or \
                 they differ from those of the first run",
                self.count, self.rows
            )
            .into());
        }
        report::say(&format!("  {label:24} {round:>2}: {measured}; load {}", report::load()))?;
        Ok(measured)
    }
}

/// The ratio is that of runs which follow each other.
fn say(pair: Pair, [without, with]: &[Vec<Measured>; 2]) -> Result<(), Failure> {
    let of = |runs: &[Measured], what: fn(&Measured) -> f64| median(runs.iter().map(what).collect());
    for ((label, _), runs) in pair.sides().into_iter().zip([without, with]) {
        report::say(&format!(
            "  {label:24}: {:>7.0} messages/s, {:>3.0} MB, {:>4.1} µs of CPU a message (medians of {})",
            of(runs, |run| run.messages_per_second),
            of(runs, |run| run.peak_mb),
            of(runs, |run| run.cpu_us),
            runs.len()
        ))?;
    }
    let mut ratios: Vec<f64> = without
        .iter()
        .zip(with)
        .map(|(without, with)| with.messages_per_second / without.messages_per_second)
        .collect();
    ratios.sort_by(f64::total_cmp);
    report::say(&format!(
        "  ratio: {:.2} (median of {} pairs; {:.2} to {:.2})",
        median(ratios.clone()),
        ratios.len(),
        report::quantile(&ratios, 0.0),
        report::quantile(&ratios, 1.0)
    ))
}
