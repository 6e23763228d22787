//! The command line's words.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;

use super::dlq::DlqCommand;
use super::waiting::WaitingCommand;
use crate::telemetry::{LogFormat, Verbosity};

/// What stands for the program's name in the texts below.
const PROGRAM: &str = "{program}";

/// A command line that was read.
#[derive(Debug, Clone)]
pub(crate) struct CommandLine {
    /// The program's name, as it was called.
    pub(crate) program: String,
    pub(crate) global: GlobalArgs,
    /// `None`: show the help and what is registered.
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Parser)]
#[command(
    name = "service",
    about = "Keeps database tables in step with Kafka topics",
    long_about = "Keeps database tables in step with Kafka topics.\n\n\
                  Settings come from django-kafka.toml in the working directory (or from --settings, or from the \
                  file that DJANGO_KAFKA_SETTINGS names) and from DJANGO_KAFKA__… environment variables, which go \
                  before the file.",
    disable_help_subcommand = true
)]
struct Line {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Options that every command has.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalArgs {
    /// The settings file
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        long_help = "The settings file. Without it: what DJANGO_KAFKA_SETTINGS names, else django-kafka.toml in the \
                     working directory, if it is there."
    )]
    pub(crate) settings: Option<PathBuf>,

    /// Run a broker inside this program: nothing else is needed
    #[arg(
        long,
        global = true,
        long_help = "Run a broker inside this program, and SQLite where the settings name no database. For trying \
                     things out: the broker keeps nothing when the program ends, and about 5 MiB of each partition \
                     while it runs. Its address is logged, so that other programs can produce to it."
    )]
    pub(crate) embedded: bool,

    /// How log lines are written; they go to standard error
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,

    /// Log more; -vv still more
    #[arg(
        short = 'v',
        long = "verbose",
        global = true,
        action = clap::ArgAction::Count,
        long_help = "Log more: -v what this library does, -vv what the libraries under it do, -vvv everything. \
                     RUST_LOG says it in detail and goes before this."
    )]
    verbose: u8,
}

impl GlobalArgs {
    pub(crate) fn verbosity(&self) -> Verbosity {
        Verbosity(self.verbose)
    }
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Run the consumers
    #[command(
        visible_alias = "kafka_consume",
        long_about = "Run the consumers, side by side, until SIGINT or SIGTERM: then they finish what is under way, \
                      commit and leave their groups. A second signal ends the program at once; what was not \
                      committed will be read again."
    )]
    Consume(ConsumeArgs),

    /// List the topics: declared and derived names, and which of them the broker has
    #[command(
        long_about = "List the topics of this program: the declared ones with their names filled in, and the retry \
                      and dead letter topics that belong to them. Says which of them the broker has, and with how \
                      many partitions."
    )]
    Topics {
        /// Create those that are missing, first
        #[arg(
            long,
            long_help = "Create those that are missing, first: with the partitions, replicas and retention of \
                         `[topics]` in the settings; retry topics keep their messages for twice their longest \
                         delay, dead letter topics without limit."
        )]
        create: bool,

        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },

    /// Dead letters: list them, show them, handle them again
    #[command(
        subcommand,
        long_about = "Dead letters: messages that could not be handled, in the topics {group}.{topic}.dlt of this \
                      program's consumers. Each is named by its place there, TOPIC/PARTITION/OFFSET."
    )]
    Dlq(DlqCommand),

    /// Messages that wait for rows they refer to: list them, show them, handle them, forget them
    #[command(
        subcommand,
        long_about = "Messages that refer to rows which are not there yet, and those of their keys behind them: stored \
                      in the database until the rows come. Each has a number there."
    )]
    Waiting(WaitingCommand),

    /// Handle messages that wait for rows as soon as these are there
    #[command(
        long_about = "Handle messages that wait for rows as soon as these are there: what `consume` does beside the \
                      consumers, in a process of its own, until SIGINT or SIGTERM. Several may run at once: what one that was \
                      killed had in hand is taken over after `relation_resolver_lease`."
    )]
    ResolveRelations,

    /// Create or update Temporal's schedule, which has relations resolved
    #[cfg(feature = "temporal")]
    #[command(
        visible_aliases = ["sync_temporal_schedules", "sync_temporalio_schedules"],
        long_about = "Create or update the schedule `resolve-awaited-relations` in Temporal's namespace (`[temporal]` in \
                      the settings): every `relation_resolver_daemon_interval` it starts the workflow that looks for \
                      rows which messages wait for. Run it again when that interval changes; otherwise it changes \
                      nothing. Fails when Temporal does not answer within some seconds."
    )]
    SyncTemporalSchedules,

    /// Work off Temporal's task queue: handle messages that wait for rows
    #[cfg(feature = "temporal")]
    #[command(
        visible_alias = "temporal_worker",
        long_about = "Run Temporal's workflows and activities that handle messages which wait for rows, until SIGINT or \
                      SIGTERM: with `relation_resolver_daemon = \"temporal\"` it does what `consume` does beside the \
                      consumers otherwise. Several may run at once. While Temporal is away it waits for it, and ends \
                      only where trying again would change nothing."
    )]
    TemporalWorker,

    /// Validate, publish and watch connectors of Kafka Connect
    #[cfg(feature = "connect")]
    #[command(
        visible_alias = "kafka_connect",
        long_about = "Validate, publish and watch the connectors that this program declares (`#[connector(…)]`), at the \
                      Kafka Connect that `connect_host` in the settings names. What is asked for is done in the order of \
                      the options below, for all connectors or for those that are named; what fails stops no other \
                      connector."
    )]
    Connect(super::connect::ConnectArgs),

    /// Create or update the database's tables
    #[command(
        long_about = "Create or update the database's tables: this library's own, and the program's, where it gives \
                      its migrations with `App::migrations(…)`. Running it again changes nothing."
    )]
    Migrate,

    /// Look for what would keep the consumers from working
    #[command(long_about = "Look for what would keep the consumers from working: settings, declarations and names of \
                      topics, the broker, the database and its tables, Kafka Connect. Each line is ok or says what to do; then \
                      follow the settings in effect, each with its source. Nothing is changed.")]
    Check,

    /// Write a shell's completions to standard output
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// What to consume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct ConsumeArgs {
    /// Run only these consumers, by their types' names
    #[arg(value_name = "CONSUMER")]
    pub(crate) consumers: Vec<String>,

    /// End when all messages that the topics have are handled
    #[arg(
        long,
        long_help = "End when all messages that the topics have are handled, instead of waiting for more: for \
                     backfills, and for jobs that a scheduler starts. Shows how far it is on a terminal."
    )]
    pub(crate) until_end: bool,
}

/// Examples at the end of each command's `--help`.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "consume",
        "Examples:\n  {program} consume\n  {program} consume Crm Audit\n  \
         {program} consume --until-end              # a backfill\n  \
         {program} consume --embedded -v            # without a broker or a database",
    ),
    (
        "topics",
        "Examples:\n  {program} topics\n  {program} topics --create\n  {program} topics --json | jq -r '.[] | select(.exists | not).name'",
    ),
    (
        "dlq",
        "Examples:\n  {program} dlq list --since 1day\n  {program} dlq show crm.orders.dlt/0/17\n  \
         {program} dlq replay --match \"foreign key\" --dry-run\n  {program} dlq replay --consumer Crm --topic shop.orders",
    ),
    #[cfg(feature = "connect")]
    (
        "connect",
        "Examples:\n  {program} connect --list\n  {program} connect --publish --dry-run         # what would change\n  \
         {program} connect --validate --publish --check-status\n  \
         {program} connect CrmSource --check-status --json\n  {program} connect restart CrmSource --only-failed",
    ),
    (
        "waiting",
        "Examples:\n  {program} waiting list\n  {program} waiting show 17\n  {program} waiting resolve\n  \
         {program} waiting discard 17 18",
    ),
    ("migrate", "Example:\n  {program} migrate --settings production.toml"),
    ("check", "Example:\n  {program} check && {program} consume"),
    (
        "completions",
        "Examples:\n  {program} completions bash > ~/.local/share/bash-completion/completions/{program}\n  \
         {program} completions fish > ~/.config/fish/completions/{program}.fish",
    ),
];

/// At the end of the program's own `--help`.
const EXIT_CODES: &str =
    "Exit codes:\n  0  done\n  1  failed\n  2  wrong use, settings or declarations\n  3  ended by a second signal";

/// The definition, with the program's name in its examples.
pub(super) fn command(program: &str) -> clap::Command {
    let mut command = Line::command().bin_name(program).max_term_width(100).after_long_help(EXIT_CODES);
    for (name, examples) in EXAMPLES {
        let examples = examples.replace(PROGRAM, program);
        command = command.mut_subcommand(*name, |subcommand| subcommand.after_long_help(examples));
    }
    command
}

/// Reads the line. Help is an error too, as in clap.
pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<CommandLine, clap::Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let program = program_name(arguments.first());
    let mut command = command(&program);
    let matches = command.try_get_matches_from_mut(arguments)?;
    let line = Line::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok(CommandLine { program, global: line.global, command: line.command })
}

fn program_name(called: Option<&OsString>) -> String {
    let name = called.and_then(|path| Path::new(path).file_stem()).and_then(|stem| stem.to_str());
    name.unwrap_or("service").to_owned()
}

/// The help of a command.
#[cfg(feature = "connect")]
pub(super) fn help(program: &str, name: &str) -> String {
    let mut command = command(program);
    // Gives each command its full name.
    command.build();
    command.find_subcommand_mut(name).map(|command| command.render_long_help().to_string()).unwrap_or_default()
}

/// The completions of a shell.
pub(super) fn completions(shell: Shell, program: &str) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(program), program, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
