//! Rates: all contenders in turns, round by round, on one topic after the other.

use std::collections::BTreeMap;

use crate::contender::Rounds;
use crate::messages::{self, Format, Left, Work};
use crate::options::Options;
use crate::report::{self, Line};
use crate::{Bench, Failure, KEYS, plot};

/// What the contenders of one table have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Case {
    pub(crate) format: Format,
    pub(crate) partitions: i32,
    pub(crate) messages: u64,
    /// Of a batch's messages only the last of each key is written.
    pub(crate) reduce: bool,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { format, partitions, messages, reduce } = self;
        let reduced = if *reduce { "" } else { ", not reduced" };
        write!(f, "{messages} messages of {KEYS} keys, {format}, {partitions} partitions{reduced}")
    }
}

pub(crate) fn rates(options: &Options, bench: &Bench) -> Result<(), Failure> {
    let mut runs = Runs { options, bench, topics: Vec::new(), hashes: BTreeMap::new() };
    let mut lines = Vec::new();
    for &messages in &options.messages {
        for &format in &options.formats {
            for &partitions in &options.partitions {
                for &reduce in &options.reduce {
                    let case = Case { format, partitions, messages, reduce };
                    report::say(&case.to_string())?;
                    let measured = runs.all(&case)?;
                    report::say(&report::table(&measured))?;
                    lines.extend(measured);
                    write(options, &lines)?;
                }
                let topics = std::mem::take(&mut runs.topics);
                bench.broker.delete_topics(topics.iter().map(|topic| topic.name.as_str()))?;
            }
        }
    }
    Ok(())
}

/// After each case: what has been measured is kept, whatever comes.
fn write(options: &Options, lines: &[Line]) -> Result<(), Failure> {
    if let Some(file) = &options.json {
        std::fs::write(file, report::json(lines)?)?;
    }
    if let Some(file) = &options.plot {
        std::fs::write(file, plot::svg(lines))?;
    }
    Ok(())
}

struct Runs<'r> {
    options: &'r Options,
    bench: &'r Bench,
    /// Of one format and number of partitions.
    topics: Vec<Topic>,
    /// Of the rows that the first run left, by the number of messages, which are the same whatever their format.
    hashes: BTreeMap<u64, String>,
}

/// Messages that are there, and what they leave.
struct Topic {
    name: String,
    count: u64,
    /// Without the names that say what numbers mean.
    raw: bool,
    rows: u64,
}

/// A contender that has been started.
struct Started {
    line: Line,
    rounds: Box<dyn Rounds>,
    /// The index of its topic.
    topic: usize,
}

impl Runs<'_> {
    /// All rounds of all contenders of a case.
    fn all(&mut self, case: &Case) -> Result<Vec<Line>, Failure> {
        let mut all = Vec::new();
        for &contender in self.options.contenders.iter().filter(|contender| contender.takes(case)) {
            let count = case.messages.min(contender.messages_max());
            let topic = self.topic(case, count, contender.writes_raw())?;
            let rounds = contender.start(&self.bench.place(&self.topics[topic].name, ""), case)?;
            all.push(Started { line: Line { case: *case, contender, count, runs: Vec::new() }, rounds, topic });
        }
        for round in usize::from(!self.options.warm_up)..=self.options.rounds {
            for started in &mut all {
                self.one(started, round)?;
            }
        }
        Ok(all.into_iter().map(|started| started.line).collect())
    }

    /// The index of the topic with so many messages, which is made if need be.
    fn topic(&mut self, case: &Case, count: u64, raw: bool) -> Result<usize, Failure> {
        if let Some(found) = self.topics.iter().position(|topic| topic.count == count && topic.raw == raw) {
            return Ok(found);
        }
        let Case { format, partitions, .. } = case;
        let name = format!("{}_{format}_{partitions}_{count}{}", self.bench.name, if raw { "_raw" } else { "" });
        self.bench.broker.create_topic(&name, *partitions)?;
        let registry = self.bench.registry.as_ref().filter(|_| *format == Format::Avro);
        let work = Work { registry, raw, padding_bytes: self.options.padding_bytes, ..Work::plain(&name, count) };
        let Left { rows, .. } = messages::produce(self.bench.broker.servers(), &work)?;
        self.topics.push(Topic { name, count, raw, rows });
        Ok(self.topics.len() - 1)
    }

    /// Round 0 is not counted.
    fn one(&mut self, started: &mut Started, round: usize) -> Result<(), Failure> {
        self.bench.database.empty()?;
        let Started { line, rounds, topic } = started;
        let (name, case) = (line.contender.name(), &line.case);
        let topic = &self.topics[*topic];
        let group = format!("{}_{name}_{}_{round}", topic.name, if case.reduce { "on" } else { "off" });
        let what = |error: Failure| Failure::from(format!("{name}, round {round}: {error}"));
        let measured = rounds.run(&self.bench.place(&topic.name, &group), topic.count).map_err(what)?;
        let hash = check(self.bench, line, topic, &rounds.group(&group)).map_err(what)?;
        if line.contender.writes() && *self.hashes.entry(line.count).or_insert_with(|| hash.clone()) != hash {
            return Err(what("the rows differ from those of the first run".into()));
        }
        if round > 0 {
            line.runs.push(measured);
        }
        report::say(&format!("  {name:16} {round:>2}: {measured}"))
    }
}

/// Rows and offsets are what they have to be; gives the rows' hash.
fn check(bench: &Bench, line: &Line, topic: &Topic, group: &str) -> Result<String, Failure> {
    let committed = bench.broker.committed(&topic.name, group, line.case.partitions)?;
    if committed != topic.count {
        return Err(format!("{committed} of {} messages are committed", topic.count).into());
    }
    let (rows, hash) = bench.database.rows(line.contender.writes_raw())?;
    let expected = if line.contender.writes() { topic.rows } else { 0 };
    if rows != expected {
        return Err(format!("the table has {rows} rows, and should have {expected}").into());
    }
    Ok(hash)
}
