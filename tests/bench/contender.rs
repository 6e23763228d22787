//! Who is measured, and how each is started.

use std::process::Command;
use std::str::FromStr;

use crate::messages::Format;
use crate::process::{self, Measured};
use crate::runs::Case;
use crate::{Failure, peers};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    Service,
    /// Two processes of one group.
    TwoServices,
    ByHand,
    NoOp,
    BarePoll,
    Relations,
    Guard,
    ExactlyOnce,
    Everything,
    JdbcSink,
    JdbcSinkUnnest,
    Spring,
    SpringUnnest,
    Python,
}

impl Contender {
    /// Those that need nothing but this workspace.
    pub(crate) const OURS: [Self; 4] = [Self::Service, Self::ByHand, Self::NoOp, Self::BarePoll];
    /// What more can be asked of the service, beside the plain one.
    pub(crate) const MORE: [Self; 5] =
        [Self::Service, Self::Relations, Self::Guard, Self::ExactlyOnce, Self::Everything];
    pub(crate) const ALL: [Self; 10] = [
        Self::Service,
        Self::TwoServices,
        Self::ByHand,
        Self::JdbcSink,
        Self::JdbcSinkUnnest,
        Self::Spring,
        Self::SpringUnnest,
        Self::Python,
        Self::NoOp,
        Self::BarePoll,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::TwoServices => "two-services",
            Self::ByHand => "by-hand",
            Self::NoOp => "no-op",
            Self::BarePoll => "bare-poll",
            Self::Relations => "relations",
            Self::Guard => "guard",
            Self::ExactlyOnce => "exactly-once",
            Self::Everything => "everything",
            Self::JdbcSink => "jdbc-sink",
            Self::JdbcSinkUnnest => "jdbc-sink-unnest",
            Self::Spring => "spring",
            Self::SpringUnnest => "spring-unnest",
            Self::Python => "python",
        }
    }

    /// Against whom its rate is held.
    pub(crate) fn yardstick(self) -> Self {
        match self {
            Self::NoOp | Self::BarePoll => Self::BarePoll,
            Self::Relations | Self::Guard | Self::ExactlyOnce | Self::Everything => Self::Service,
            _ => Self::ByHand,
        }
    }

    pub(crate) fn writes(self) -> bool {
        !matches!(self, Self::NoOp | Self::BarePoll)
    }

    /// Whether its rows are in the table of numbers.
    pub(crate) fn writes_raw(self) -> bool {
        // With `unnest`, the sink (3.6.0) writes a date's number where it has to write the date.
        self == Self::JdbcSinkUnnest
    }

    /// Whether it can do this at all.
    pub(crate) fn takes(self, case: &Case) -> bool {
        match self {
            // Without a schema it writes nothing.
            Self::JdbcSink => case.format == Format::Avro,
            // With a key twice its statement fails.
            Self::JdbcSinkUnnest => case.format == Format::Avro && case.reduce,
            // Nothing is reduced where nothing is written.
            Self::NoOp | Self::BarePoll => case.reduce,
            // One message, one statement: it never reduces.
            Self::Python => case.format == Format::Json && case.reduce,
            Self::Relations | Self::Guard | Self::ExactlyOnce | Self::Everything => {
                case.format == Format::Json && case.reduce
            }
            _ => true,
        }
    }

    fn processes(self) -> usize {
        if self == Self::TwoServices { 2 } else { 1 }
    }

    /// So many messages at most: what is slow is measured on fewer.
    pub(crate) fn messages_max(self) -> u64 {
        if self == Self::Python { 20_000 } else { u64::MAX }
    }

    /// Ready for its rounds.
    pub(crate) fn start(self, place: &Place<'_>, case: &Case) -> Result<Box<dyn Rounds>, Failure> {
        Ok(match self {
            Self::JdbcSink | Self::JdbcSinkUnnest => {
                Box::new(peers::JdbcSink::start(place, case, self == Self::JdbcSinkUnnest)?)
            }
            Self::Spring | Self::SpringUnnest => {
                Box::new(peers::Spring::start(place, case, self == Self::SpringUnnest)?)
            }
            _ => Box::new(Processes { contender: self, case: *case }),
        })
    }

    /// A process that runs to the topic's end.
    fn command(self, place: &Place<'_>, case: &Case) -> Result<Command, Failure> {
        let own = |name: &str| -> Result<Command, Failure> {
            let mut command = Command::new(std::env::current_exe()?);
            command.args([name, place.servers, place.topic, place.group, &case.partitions.to_string()]);
            Ok(command)
        };
        if let Some(consumer) = self.consumer(case) {
            let mut command = place.until_end(consumer);
            if self == Self::Everything {
                command.env("DJANGO_KAFKA__METRICS__LISTEN", "127.0.0.1:0");
            }
            return Ok(command);
        }
        Ok(match self {
            Self::ByHand => {
                let mut command = own("by-hand")?;
                let reduce = if case.reduce { "on" } else { "off" };
                command.args([place.url, reduce]);
                command.args(place.registry.filter(|_| case.format == Format::Avro));
                command
            }
            Self::BarePoll => own("bare-poll")?,
            Self::Python => peers::python(place)?,
            other => return Err(format!("{} is no process of its own", other.name()).into()),
        })
    }

    /// Of the service.
    fn consumer(self, case: &Case) -> Option<&'static str> {
        match (self, case.format, case.reduce) {
            (Self::NoOp, ..) => Some("NoOps"),
            (Self::Relations, ..) => Some("OwnedAccounts"),
            (Self::Guard, ..) => Some("GuardedAccounts"),
            (Self::ExactlyOnce, ..) => Some("ExactAccounts"),
            (Self::Everything, ..) => Some("FullAccounts"),
            (Self::Service | Self::TwoServices, Format::Json, true) => Some("Accounts"),
            (Self::Service | Self::TwoServices, Format::Json, false) => Some("UnreducedAccounts"),
            (Self::Service | Self::TwoServices, Format::Avro, true) => Some("AvroAccounts"),
            (Self::Service | Self::TwoServices, Format::Avro, false) => Some("UnreducedAvroAccounts"),
            _ => None,
        }
    }
}

impl FromStr for Contender {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter().chain(Self::MORE);
        let names = all.clone().map(Self::name).collect::<Vec<_>>().join(", ");
        all.find(|contender| contender.name() == text).ok_or_else(|| format!("no such contender; there are {names}"))
    }
}

/// A contender that has been started, and runs once for each round.
pub(crate) trait Rounds {
    fn run(&mut self, place: &Place<'_>, messages: u64) -> Result<Measured, Failure>;

    /// The group in which it commits, where it was told to use this one.
    fn group(&self, told: &str) -> String {
        told.to_owned()
    }
}

/// One process a round.
struct Processes {
    contender: Contender,
    case: Case,
}

impl Rounds for Processes {
    fn run(&mut self, place: &Place<'_>, messages: u64) -> Result<Measured, Failure> {
        let commands = (0..self.contender.processes()).map(|_| self.contender.command(place, &self.case));
        process::run(commands.collect::<Result<_, _>>()?, messages)
    }

    fn group(&self, told: &str) -> String {
        self.contender.consumer(&self.case).map_or_else(|| told.to_owned(), |consumer| format!("{told}.{consumer}"))
    }
}

/// Where a contender reads and writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) servers: &'p str,
    pub(crate) url: &'p str,
    /// Of the schema registry, where there is one.
    pub(crate) registry: Option<&'p str>,
    pub(crate) topic: &'p str,
    pub(crate) group: &'p str,
}

impl Place<'_> {
    /// The service's consumer, to the topic's end.
    pub(crate) fn until_end(&self, consumer: &str) -> Command {
        let mut command = self.service();
        command.args(["consume", consumer, "--until-end"]);
        command.env("DJANGO_KAFKA__CONSUMER_CONFIG__FETCH_WAIT_MAX_MS", process::FETCH_WAIT_MAX_MS);
        command
    }

    /// The service, with its settings, without arguments.
    pub(crate) fn service(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench_service"));
        command.env_clear();
        // Says when partitions are assigned.
        command.env("RUST_LOG", "warn,django_kafka_rs::consumer::engine=debug");
        command.env("DJANGO_KAFKA__GLOBAL_CONFIG__BOOTSTRAP_SERVERS", self.servers);
        command.env("DJANGO_KAFKA__DATABASE_URL", self.url);
        command.env("DJANGO_KAFKA__TOPIC_VARIABLES__TOPIC", self.topic);
        command.env("DJANGO_KAFKA__TOPIC_VARIABLES__GROUP", self.group);
        // Nobody listens there: asked only for what is written in Avro.
        let registry = self.registry.unwrap_or("http://127.0.0.1:9");
        command.env("DJANGO_KAFKA__SCHEMA_REGISTRY__URL", registry);
        // To try settings: `DJANGO_KAFKA__BATCH__MAX=500 just bench`, `PGOPTIONS='-c work_mem=64MB' just bench`.
        let tried = |name: &str| {
            ["DJANGO_KAFKA__BATCH__", "DJANGO_KAFKA__CONSUMER_CONFIG__", "MALLOC_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
                || name == "PGOPTIONS"
        };
        command.envs(std::env::vars().filter(|(name, _)| tried(name)));
        command
    }
}
