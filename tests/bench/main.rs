//! `just bench`: how fast a declared consumer is, beside a loop written by hand for the same table.
//!
//! Both run as processes, in turns, on the same messages, the same broker and the same database, each time with a new
//! group and an empty table. A rate counts from the assignment of partitions to the end of the process, by which
//! everything is committed: the start of the process and the joining of the group are in neither.
//!
//! No time is asserted: a machine that is busy is not a fault. What is asserted is that each run leaves the rows and
//! the offsets that it has to.

mod broker;
mod by_hand;
mod database;
mod messages;
mod process;
mod report;
mod retries;

use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use self::broker::Broker;
use self::database::Database;
use self::process::Measured;
use self::report::Line;

/// Anything that ends the run.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

const PARTITIONS: i32 = 4;
const KEYS: u64 = 100_000;

const USAGE: &str = "usage: bench [--short] [--retries] [--rounds N] [--messages N,N,…]

  --short       20 000 messages, one round: shows that it runs, and no more
  --retries     what retry topics cost where 1 % fails, and how soon a retry comes, instead of the loop by hand
  --rounds      measured rounds of each, after one that is not (default 3)
  --messages    how many messages, for each table of rounds (default 100000,1000000)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        // The process beside the service's.
        Some("by-hand") => by_hand::run(&arguments[1..]),
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

/// What is run.
struct Options {
    rounds: usize,
    warm_up: bool,
    messages: Vec<u64>,
    retries: bool,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self, Failure> {
        let mut options = Self { rounds: 3, warm_up: true, messages: vec![100_000, 1_000_000], retries: false };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"));
            match argument.as_str() {
                // Cargo's own, to every benchmark.
                "--bench" => {}
                "--short" => options = Self { rounds: 1, warm_up: false, messages: vec![20_000], ..options },
                "--retries" => options.retries = true,
                "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
                "--messages" => options.messages = value()?.split(',').map(str::parse).collect::<Result<_, _>>()?,
                other => return Err(format!("unknown argument {other}\n{USAGE}").into()),
            }
        }
        Ok(options)
    }
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    Service,
    ByHand,
}

impl Contender {
    const ALL: [Self; 2] = [Self::Service, Self::ByHand];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::ByHand => "by hand",
        }
    }

    fn command(self, place: &Place<'_>) -> Result<Command, Failure> {
        let mut command;
        match self {
            Self::Service => {
                command = place.service();
                command.args(["consume", "Accounts", "--until-end"]);
            }
            Self::ByHand => {
                command = Command::new(std::env::current_exe()?);
                command.args(["by-hand", place.servers, place.url, place.topic, place.group]);
            }
        }
        Ok(command)
    }
}

/// Where a contender reads and writes.
struct Place<'p> {
    servers: &'p str,
    url: &'p str,
    topic: &'p str,
    group: &'p str,
}

impl Place<'_> {
    /// The service, with its settings, without arguments.
    fn service(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench_service"));
        command.env_clear();
        // Says when partitions are assigned.
        command.env("RUST_LOG", "warn,django_kafka_rs::consumer::engine=debug");
        command.env("DJANGO_KAFKA__GLOBAL_CONFIG__BOOTSTRAP_SERVERS", self.servers);
        command.env("DJANGO_KAFKA__DATABASE_URL", self.url);
        command.env("DJANGO_KAFKA__TOPIC_VARIABLES__TOPIC", self.topic);
        command.env("DJANGO_KAFKA__TOPIC_VARIABLES__GROUP", self.group);
        // To try settings: `DJANGO_KAFKA__BATCH__MAX=500 just bench`, `PGOPTIONS='-c work_mem=64MB' just bench`.
        let tried = |name: &str| name.starts_with("DJANGO_KAFKA__BATCH__") || name == "PGOPTIONS";
        command.envs(std::env::vars().filter(|(name, _)| tried(name)));
        command
    }
}

fn bench(options: &Options) -> Result<(), Failure> {
    let stamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let name = format!("bench_{stamp:x}");
    let broker = Broker::new(&address("KAFKA_BOOTSTRAP")?, &name)?;
    let database = Database::create(&address("DATABASE_URL")?, &name)?;
    let place = Place { servers: broker.servers(), url: database.url(), topic: &name, group: &name };
    if !place.service().arg("migrate").stdout(std::process::Stdio::null()).status()?.success() {
        return Err("the service's own tables cannot be made".into());
    }
    if options.retries {
        return retries::bench(options, &name, &broker, &database);
    }
    let mut lines = Vec::new();
    for &count in &options.messages {
        let topic = format!("{name}_{count}");
        broker.create_topic(&topic, PARTITIONS)?;
        report::say(&format!("{count} messages of {KEYS} keys on {PARTITIONS} partitions"))?;
        let left = messages::produce(broker.servers(), &topic, count, KEYS, None)?;
        let rows = left.rows;
        let mut runs = Runs { broker: &broker, database: &database, topic: &topic, count, rows, hash: None };
        lines.extend(runs.all(options)?);
    }
    report::say(&report::table(&lines))
}

/// All runs on one topic.
struct Runs<'b> {
    broker: &'b Broker,
    database: &'b Database,
    topic: &'b str,
    count: u64,
    /// How many rows each run has to leave.
    rows: u64,
    /// Of the rows that the first run left.
    hash: Option<String>,
}

impl Runs<'_> {
    fn all(&mut self, options: &Options) -> Result<Vec<Line>, Failure> {
        if options.warm_up {
            for contender in Contender::ALL {
                self.one(contender, "warm")?;
            }
        }
        let mut measured = Contender::ALL.map(|contender| (contender, Vec::new()));
        for round in 1..=options.rounds {
            for (contender, runs) in &mut measured {
                runs.push(self.one(*contender, &round.to_string())?);
            }
        }
        Ok(measured.map(|(contender, runs)| Line { contender, count: self.count, runs }).into())
    }

    fn one(&mut self, contender: Contender, round: &str) -> Result<Measured, Failure> {
        self.database.empty()?;
        let group = format!("{}_{}_{round}", self.topic, contender.name().replace(' ', "_"));
        let place =
            Place { servers: self.broker.servers(), url: self.database.url(), topic: self.topic, group: &group };
        let measured = process::run(contender.command(&place)?, self.count)?;
        self.check(&group).map_err(|wrong| format!("{}, round {round}: {wrong}", contender.name()))?;
        report::say(&format!("  {:8} {round:>4}: {measured}", contender.name()))?;
        Ok(measured)
    }

    /// Rows and offsets are what they have to be.
    fn check(&mut self, group: &str) -> Result<(), Failure> {
        let committed = self.broker.committed(self.topic, group, PARTITIONS)?;
        if committed != self.count {
            return Err(format!("{committed} of {} messages are committed", self.count).into());
        }
        let (rows, hash) = self.database.rows()?;
        if rows != self.rows {
            return Err(format!("the table has {rows} rows, and should have {}", self.rows).into());
        }
        let first = self.hash.get_or_insert_with(|| hash.clone());
        if *first == hash { Ok(()) } else { Err("the rows differ from those of the first run".into()) }
    }
}

fn address(variable: &str) -> Result<String, Failure> {
    std::env::var(variable).map_err(|_| {
        format!("{variable} is not set: start this by `scripts/bench`, which brings up the services that it needs")
            .into()
    })
}
