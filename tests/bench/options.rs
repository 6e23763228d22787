//! What is run, as the command line says it.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use crate::contender::Contender;
use crate::messages::Format;
use crate::pairs::Pair;
use crate::{Failure, PARTITIONS};

/// Messages of `--large`, and the text in each: together with the rest, a little less than a broker takes.
const LARGE_MESSAGES: u64 = 400;
const LARGE_BYTES: usize = 1_000_000;

const USAGE: &str = "usage: bench [MODE] [--short] [--messages N,…] [--partitions N,…] [--format json,avro]
             [--reduce on,off] [--contenders NAME,…|all] [--rounds N] [--json FILE] [--plot FILE]

modes; without one, rates of the contenders side by side
  --everything  contenders: the service, plain, and with relations, guard, exactly once, and all of these
  --large       400 messages of 1 MB: memory
  --latency     how soon a single change is in the table, of a service that has nothing else to do
  --costs       where the service's processor time goes, by stage (needs `perf`)
  --allocations how often the service allocates for a message, and where
  --retries     what retry topics cost where 1 % fails, and how soon a retry comes
  --relations   what relations cost where all rows are there, and how soon many rows follow the one that they wait for
  --offsets     what offsets in the database cost
  --guard       what the ordering guard costs where nothing fails

  --short       20 000 messages, one round: shows that it runs, and no more
  --messages    how many messages (default 1000000)
  --partitions  of the topic (default 4)
  --format      of keys and values (default json)
  --reduce      whether of a batch's messages only the last of each key is written (default on)
  --contenders  who is measured (default service,by-hand,no-op,bare-poll)
  --rounds      measured rounds of each, after one that is not (default 3)
  --json        writes all runs to this file
  --plot        writes the rates as SVG to this file

Of a list each value makes tables of its own: `--format json,avro --partitions 1,4` makes four.";

/// What a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Rates,
    Latency,
    Allocations,
    Costs,
    Retries,
    Pair(Pair),
}

pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) rounds: usize,
    pub(crate) warm_up: bool,
    pub(crate) messages: Vec<u64>,
    pub(crate) partitions: Vec<i32>,
    pub(crate) formats: Vec<Format>,
    pub(crate) reduce: Vec<bool>,
    pub(crate) contenders: Vec<Contender>,
    /// Text that each row has besides.
    pub(crate) padding_bytes: usize,
    pub(crate) json: Option<PathBuf>,
    pub(crate) plot: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Rates,
            rounds: 3,
            warm_up: true,
            messages: vec![1_000_000],
            partitions: vec![PARTITIONS],
            formats: vec![Format::Json],
            reduce: vec![true],
            contenders: Contender::OURS.into(),
            padding_bytes: 0,
            json: None,
            plot: None,
        }
    }
}

impl Options {
    pub(crate) fn read(arguments: &[String]) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"));
            match argument.as_str() {
                // Cargo's own, to every benchmark.
                "--bench" => {}
                "--help" => return Err(USAGE.into()),
                "--short" => options = Self { rounds: 1, warm_up: false, messages: vec![20_000], ..options },
                "--large" => {
                    options = Self {
                        messages: vec![LARGE_MESSAGES],
                        padding_bytes: LARGE_BYTES,
                        contenders: vec![Contender::Service, Contender::ByHand],
                        ..options
                    }
                }
                "--everything" => options.contenders = Contender::MORE.into(),
                "--latency" => options.mode = Mode::Latency,
                "--costs" => options.mode = Mode::Costs,
                "--allocations" => options.mode = Mode::Allocations,
                "--retries" => options.mode = Mode::Retries,
                "--relations" => options.mode = Mode::Pair(Pair::Relations),
                "--offsets" => options.mode = Mode::Pair(Pair::Offsets),
                "--guard" => options.mode = Mode::Pair(Pair::Guard),
                "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
                "--messages" => options.messages = list(value()?)?,
                "--partitions" => options.partitions = list(value()?)?,
                "--format" => options.formats = list(value()?)?,
                "--reduce" => options.reduce = list::<OnOff>(value()?)?.into_iter().map(|OnOff(on)| on).collect(),
                "--contenders" => {
                    let names = value()?;
                    options.contenders = if names == "all" { Contender::ALL.into() } else { list(names)? };
                }
                "--json" => options.json = Some(value()?.into()),
                "--plot" => options.plot = Some(value()?.into()),
                other => return Err(format!("unknown argument {other}\n{USAGE}").into()),
            }
        }
        Ok(options)
    }

    pub(crate) fn needs_registry(&self) -> bool {
        self.formats.contains(&Format::Avro)
    }
}

fn list<T: FromStr<Err: Display>>(values: &str) -> Result<Vec<T>, Failure> {
    values.split(',').map(|value| value.parse().map_err(|error| format!("{value}: {error}").into())).collect()
}

struct OnOff(bool);

impl FromStr for OnOff {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "on" => Ok(Self(true)),
            "off" => Ok(Self(false)),
            _ => Err("neither on nor off"),
        }
    }
}
