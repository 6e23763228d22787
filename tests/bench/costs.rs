//! Where the service's own processor time goes, by stage: `perf` looks at its stacks so often a second. What it waits
//! for, the database above all, is not in it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::messages::{self, Format, Work};
use crate::{Bench, Failure, Options, PARTITIONS, report};

/// Looks a second.
const FREQUENCY: u32 = 499;

/// What a stage's stacks have in common, as symbols say it with and without demangling; the first that is found counts.
const STAGES: [(&str, &[&str]); 7] = [
    ("commit", &["commit_transaction", "18commit_transaction"]),
    ("decode", &["sync::decode", "4sync6decode", "format::avro", "6format4avro"]),
    ("plan", &["sync::plan", "4sync4plan"]),
    ("write", &["sync::write", "4sync5write"]),
    ("rest of apply", &["sync::apply", "4sync5apply"]),
    ("engine and lanes", &["consumer::engine", "8consumer6engine", "consumer::lane", "8consumer4lane"]),
    ("poll", &["consumer::poll", "8consumer4poll", "consumer::outbox", "8consumer6outbox"]),
];
/// librdkafka's own threads.
const CLIENT: &str = "fetch (librdkafka)";
const REST: &str = "rest";

pub(crate) fn bench(options: &Options, bench: &Bench) -> Result<(), Failure> {
    let count = if options.warm_up { options.messages.first().copied().unwrap_or_default() } else { 20_000 };
    for &format in &options.formats {
        let topic = format!("{}_costs_{format}", bench.name);
        bench.broker.create_topic(&topic, PARTITIONS)?;
        bench.database.empty()?;
        let registry = bench.registry.as_ref().filter(|_| format == Format::Avro);
        messages::produce(bench.broker.servers(), &Work { registry, ..Work::plain(&topic, count) })?;
        let file = std::env::temp_dir().join(format!("{topic}.perf"));
        let consumer = if format == Format::Avro { "AvroAccounts" } else { "Accounts" };
        record(&bench.place(&topic, &topic).until_end(consumer), &file)?;
        let samples = stages(&file);
        std::fs::remove_file(&file)?;
        say(format, count, &samples?)?;
    }
    Ok(())
}

/// Runs the service to the topic's end, watched.
fn record(service: &Command, file: &Path) -> Result<(), Failure> {
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "-e", "cpu-clock", "-F", &FREQUENCY.to_string(), "--call-graph", "dwarf,16384"]);
    perf.arg("-o").arg(file).arg("--").arg(service.get_program()).args(service.get_args());
    perf.env_clear();
    perf.envs(service.get_envs().filter_map(|(name, value)| Some((name, value?))));
    perf.envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
    let output = perf.stdout(Stdio::null()).output().map_err(|error| format!("perf, which is needed: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("perf record: {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

/// How many looks found each stage.
fn stages(file: &Path) -> Result<BTreeMap<&'static str, u64>, Failure> {
    let mut script = Command::new("perf");
    script.args(["script", "--no-inline", "-F", "comm,ip,sym", "-i"]).arg(file);
    let mut child = script.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut samples = BTreeMap::new();
    let mut stack = Stack::default();
    for line in BufReader::new(child.stdout.take().ok_or("perf script has no output")?).lines() {
        let line = line?;
        if line.trim().is_empty() {
            stack.count(&mut samples);
        } else if line.starts_with(char::is_whitespace) {
            stack.frame(&line);
        } else {
            stack.is_client = line.starts_with("rdk:");
            stack.is_open = true;
        }
    }
    stack.count(&mut samples);
    let status = child.wait()?;
    if status.success() { Ok(samples) } else { Err(format!("perf script: {status}").into()) }
}

/// A thread as it was found.
#[derive(Default)]
struct Stack {
    is_open: bool,
    is_client: bool,
    /// The index of the first stage that one of its frames belongs to.
    stage: Option<usize>,
}

impl Stack {
    fn frame(&mut self, line: &str) {
        let belongs = |names: &[&str]| names.iter().any(|name| line.contains(name));
        let found = STAGES.iter().position(|(_, names)| belongs(names));
        self.stage = match (self.stage, found) {
            (Some(known), Some(found)) => Some(known.min(found)),
            (known, found) => known.or(found),
        };
    }

    fn count(&mut self, samples: &mut BTreeMap<&'static str, u64>) {
        let Self { is_open, is_client, stage } = std::mem::take(self);
        if is_open {
            let stage = stage.map_or(if is_client { CLIENT } else { REST }, |stage| STAGES[stage].0);
            *samples.entry(stage).or_default() += 1;
        }
    }
}

fn say(format: Format, count: u64, samples: &BTreeMap<&'static str, u64>) -> Result<(), Failure> {
    let all: u64 = samples.values().sum();
    let us = |looks: u64| looks as f64 / f64::from(FREQUENCY) * 1e6 / count as f64;
    report::say(&format!(
        "{format}, {count} messages: {:.2} µs of CPU a message\n\n| stage | share | µs each |",
        us(all)
    ))?;
    report::say("|---|---:|---:|")?;
    let mut stages: Vec<_> = samples.iter().collect();
    stages.sort_by_key(|(_, looks)| std::cmp::Reverse(**looks));
    for (stage, &looks) in stages {
        report::say(&format!("| {stage} | {:.1} % | {:.2} |", looks as f64 * 100.0 / all as f64, us(looks)))?;
    }
    Ok(())
}
