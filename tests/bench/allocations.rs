//! How often the service allocates for a message in steady state, and where: what a run of twice the messages allocates
//! more than a run of them. Rust's allocations alone: librdkafka and libpq have `malloc`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;

use crate::messages::{self, Work};
use crate::{Bench, Failure, Options, PARTITIONS, report};

/// Of the smaller run.
const MESSAGES: u64 = 50_000;
/// Where the library's sources are.
const LIBRARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../django-kafka-rs");
/// Sites that are listed.
const SITES_MAX: usize = 25;

pub(crate) fn bench(options: &Options, bench: &Bench) -> Result<(), Failure> {
    let messages = if options.warm_up { MESSAGES } else { 2_000 };
    for consumer in ["Accounts", "NoOps"] {
        let once = profile(bench, consumer, messages)?;
        let twice = profile(bench, consumer, 2 * messages)?;
        let each = |blocks: i64| blocks as f64 / messages as f64;
        let mut more: Vec<(&str, Sum)> = twice
            .iter()
            .map(|(site, sum)| (site.as_str(), sum.less(once.get(site).copied().unwrap_or_default())))
            .filter(|(_, sum)| sum.blocks != 0)
            .collect();
        more.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.blocks));
        let all = more.iter().fold(Sum::default(), |all, (_, sum)| all.and(*sum));
        report::say(&format!(
            "{consumer}: {:.2} allocations and {:.0} bytes a message\n\n| each | bytes each | where |\n|---:|---:|---|",
            each(all.blocks),
            each(all.bytes)
        ))?;
        for (site, sum) in more.iter().take(SITES_MAX) {
            report::say(&format!("| {:.3} | {:.1} | {site} |", each(sum.blocks), each(sum.bytes)))?;
        }
    }
    Ok(())
}

/// What a run allocated, by where.
fn profile(bench: &Bench, consumer: &str, count: u64) -> Result<BTreeMap<String, Sum>, Failure> {
    let topic = format!("{}_{consumer}_{count}", bench.name);
    bench.broker.create_topic(&topic, PARTITIONS)?;
    bench.database.empty()?;
    messages::produce(bench.broker.servers(), &Work::plain(&topic, count))?;
    let file = std::env::temp_dir().join(format!("{topic}.dhat.json"));
    let mut command = bench.place(&topic, &topic).until_end(consumer);
    command.env("ALLOCATIONS", &file);
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    if !output.status.success() {
        return Err(format!("{}:\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    let sites = read(&file);
    std::fs::remove_file(&file)?;
    sites
}

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    blocks: i64,
    bytes: i64,
}

impl Sum {
    fn and(self, other: Self) -> Self {
        Self { blocks: self.blocks + other.blocks, bytes: self.bytes + other.bytes }
    }

    fn less(self, other: Self) -> Self {
        Self { blocks: self.blocks - other.blocks, bytes: self.bytes - other.bytes }
    }
}

/// As DHAT writes it.
#[derive(Deserialize)]
struct Profile {
    #[serde(rename = "pps")]
    points: Vec<Point>,
    #[serde(rename = "ftbl")]
    frames: Vec<String>,
}

#[derive(Deserialize)]
struct Point {
    #[serde(rename = "tbk")]
    blocks: i64,
    #[serde(rename = "tb")]
    bytes: i64,
    /// The allocation's first.
    #[serde(rename = "fs")]
    frames: Vec<usize>,
}

fn read(file: &Path) -> Result<BTreeMap<String, Sum>, Failure> {
    let text = std::fs::read(file).map_err(|error| {
        format!("{}: {error}: the service counts allocations with `--features bench-allocations`", file.display())
    })?;
    let Profile { points, frames } = serde_json::from_slice(&text)?;
    let mut sites: HashMap<String, Sum> = HashMap::new();
    for point in points {
        let stack = point.frames.iter().filter_map(|&frame| frames.get(frame).map(String::as_str));
        let sum = sites.entry(site(stack)).or_default();
        *sum = sum.and(Sum { blocks: point.blocks, bytes: point.bytes });
    }
    Ok(sites.into_iter().collect())
}

/// The innermost frame in the library's sources, else in the service's, else the outermost that is known.
fn site<'f>(stack: impl Iterator<Item = &'f str>) -> String {
    let mut last = "";
    for frame in stack {
        // `0x1234: function (src/file.rs:line:column)`, where the file is its package's.
        last = frame.split_once(": ").map_or(frame, |(_, rest)| rest);
        let file = last.rsplit_once('(').and_then(|(_, place)| place.split(':').next()).unwrap_or_default();
        let is_library = Path::new(LIBRARY).join(file).is_file();
        // The allocator's own name stands where it is declared.
        let is_service = file.ends_with("bench_service.rs") && !last.contains("__rust");
        if !file.is_empty() && (is_library || is_service) {
            break;
        }
    }
    last.to_owned()
}
