//! What is printed and written.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::process::Measured;
use crate::runs::Case;
use crate::{Contender, Failure};

/// All measured rounds of one contender in one case.
pub(crate) struct Line {
    pub(crate) case: Case,
    pub(crate) contender: Contender,
    /// Fewer than the case's where the contender is slow.
    pub(crate) count: u64,
    pub(crate) runs: Vec<Measured>,
}

impl Line {
    pub(crate) fn rates(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.messages_per_second).collect()
    }

    /// The lowest and the highest rate.
    pub(crate) fn range(&self) -> (f64, f64) {
        let rates = self.rates();
        rates.iter().fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), rate| (low.min(*rate), high.max(*rate)))
    }

    /// Of its rate to that of the loop by hand, or of the bare one, in the same case.
    fn ratio(&self, lines: &[Self]) -> Option<f64> {
        let yardstick =
            lines.iter().find(|other| other.case == self.case && other.contender == self.contender.yardstick())?;
        Some(median(self.rates()) / median(yardstick.rates()))
    }
}

pub(crate) fn say(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Medians and ranges, as Markdown.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut text = format!(
        "\n| {:16} | {:>8} | {:>10} | {:>15} | {:>7} | {:>11} | {:>5} |\n|---|---:|---:|---:|---:|---:|---:|\n",
        "", "messages", "messages/s", "range", "peak MB", "CPU µs each", "ratio"
    );
    for line in lines {
        let (low, high) = line.range();
        let peak = line.runs.iter().map(|run| run.peak_mb).fold(0.0, f64::max);
        let cpu = median(line.runs.iter().map(|run| run.cpu_us).collect());
        let ratio = line.ratio(lines).map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "| {:16} | {:>8} | {:>10.0} | {:>15} | {peak:>7.0} | {cpu:>11.1} | {ratio:>5} |",
            line.contender.name(),
            line.count,
            median(line.rates()),
            format!("{low:.0}–{high:.0}"),
        );
    }
    text
}

/// All runs.
pub(crate) fn json(lines: &[Line]) -> Result<String, Failure> {
    let of_line = |line: &Line| {
        let Case { format, partitions, reduce, .. } = line.case;
        let run = |run: &Measured| json!({ "messages_per_second": run.messages_per_second, "peak_mb": run.peak_mb, "cpu_us": run.cpu_us });
        json!({
            "contender": line.contender.name(),
            "format": format.to_string(),
            "partitions": partitions,
            "reduce": reduce,
            "messages": line.count,
            "median": median(line.rates()),
            "ratio": line.ratio(lines),
            "runs": line.runs.iter().map(run).collect::<Vec<Value>>(),
        })
    };
    Ok(serde_json::to_string_pretty(&lines.iter().map(of_line).collect::<Vec<Value>>())?)
}

/// Not a number where there is none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// What so much of the values, which are in order, is not above.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted.get(((sorted.len().saturating_sub(1)) as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

/// How busy the machine is: processes that run or want to, as a mean of the last minute.
pub(crate) fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}
