//! What is printed.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::process::Measured;
use crate::{Contender, Failure};

/// All measured rounds of one contender on one topic.
pub(crate) struct Line {
    pub(crate) contender: Contender,
    pub(crate) count: u64,
    pub(crate) runs: Vec<Measured>,
}

impl Line {
    fn rates(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.messages_per_second).collect()
    }
}

pub(crate) fn say(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Medians and ranges; the ratio is to the loop by hand on the same topic.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut text = format!(
        "\n{:>9} {:8} {:>10} {:>17} {:>8} {:>12} {:>6}\n",
        "messages", "", "messages/s", "range", "peak MB", "CPU µs each", "ratio"
    );
    for line in lines {
        let rates = line.rates();
        let by_hand = lines.iter().find(|other| other.count == line.count && other.contender == Contender::ByHand);
        let ratio = by_hand.map_or(f64::NAN, |by_hand| median(rates.clone()) / median(by_hand.rates()));
        let (low, high) =
            rates.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), rate| (low.min(*rate), high.max(*rate)));
        let peak = line.runs.iter().map(|run| run.peak_mb).fold(0.0, f64::max);
        let cpu = median(line.runs.iter().map(|run| run.cpu_us).collect());
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "{:>9} {:8} {:>10.0} {:>17} {peak:>8.0} {cpu:>12.1} {ratio:>6.2}",
            line.count,
            line.contender.name(),
            median(rates),
            format!("{low:.0}–{high:.0}"),
        );
    }
    text
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
