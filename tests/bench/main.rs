//! `just bench`: how fast a declared consumer is, beside a loop written by hand for the same table, and beside others.
//!
//! All run as processes, in turns, on the same messages, the same broker and the same database, each time with a new
//! group and an empty table. A rate counts from the assignment of partitions to the moment when everything is
//! committed: the start of the process and the joining of the group are in neither.
//!
//! No time is asserted: a machine that is busy is not a fault. What is asserted is that each run leaves the rows and
//! the offsets that it has to.

mod allocations;
mod bare;
mod broker;
mod by_hand;
mod contender;
mod costs;
mod database;
mod latency;
mod messages;
mod options;
mod pairs;
mod parked;
mod peers;
mod plot;
mod process;
mod registry;
mod report;
mod retries;
mod runs;

use std::error::Error;
use std::process::{ExitCode, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use self::broker::Broker;
use self::contender::{Contender, Place};
use self::database::Database;
use self::options::{Mode, Options};
use self::pairs::Pair;
use self::registry::Registry;

/// Anything that ends the run.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Of the modes that do not vary it.
const PARTITIONS: i32 = 4;
const KEYS: u64 = 100_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        // The processes beside the service's.
        Some("by-hand") => by_hand::run(&arguments[1..]),
        Some("bare-poll") => bare::run(&arguments[1..]),
        _ => Options::read(&arguments).and_then(|options| bench(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What all modes measure on: of this run alone, and removed at its end.
pub(crate) struct Bench {
    /// Topics, groups, the database and subjects begin with it.
    pub(crate) name: String,
    pub(crate) broker: Broker,
    pub(crate) database: Database,
    /// Only where something is written in Avro.
    pub(crate) registry: Option<Registry>,
}

fn bench(options: &Options) -> Result<(), Failure> {
    let stamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let name = format!("bench_{stamp:x}");
    let bench = Bench {
        broker: Broker::new(&address("KAFKA_BOOTSTRAP")?, &name)?,
        database: Database::create(&address("DATABASE_URL")?, &name)?,
        registry: options.needs_registry().then(Registry::new).transpose()?,
        name,
    };
    if !bench.place("", "").service().arg("migrate").stdout(Stdio::null()).status()?.success() {
        return Err("the service's own tables cannot be made".into());
    }
    match options.mode {
        Mode::Rates => runs::rates(options, &bench),
        Mode::Latency => latency::bench(options, &bench),
        Mode::Costs => costs::bench(options, &bench),
        Mode::Allocations => allocations::bench(options, &bench),
        Mode::Retries => retries::bench(options, &bench),
        Mode::Pair(pair) => {
            pairs::bench(options, &bench, pair)?;
            if pair == Pair::Relations { parked::bench(options, &bench) } else { Ok(()) }
        }
    }
}

impl Bench {
    fn place<'p>(&'p self, topic: &'p str, group: &'p str) -> Place<'p> {
        let registry = self.registry.as_ref().map(Registry::url);
        Place { servers: self.broker.servers(), url: self.database.url(), registry, topic, group }
    }
}

pub(crate) fn address(variable: &str) -> Result<String, Failure> {
    std::env::var(variable).map_err(|_| {
        format!("{variable} is not set: start this by `scripts/bench`, which brings up the services that it needs")
            .into()
    })
}
