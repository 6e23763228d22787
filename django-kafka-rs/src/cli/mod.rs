//! The command line of every service.
//!
//! Parsing and rendering are here and pure; what the commands do is the application's ([`Commands`]).

mod args;
mod check;
#[cfg(feature = "connect")]
mod connect;
mod dlq;
mod exit;
mod listing;
pub(crate) mod progress;
mod table;
#[cfg(test)]
mod tests;
mod waiting;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

pub(crate) use self::args::{Command, CommandLine, ConsumeArgs, GlobalArgs};
pub(crate) use self::check::{CheckReport, Finding, counted};
#[cfg(feature = "connect")]
pub(crate) use self::connect::ConnectArgs;
#[cfg(all(test, feature = "connect"))]
pub(crate) use self::connect::step as connect_step;
pub(crate) use self::dlq::{
    DlqCommand, DlqSelection, FullLetter, LetterId, LetterRow, Letters, Look, Replay, ReplayReport,
};
pub(crate) use self::exit::{Exit, Failure};
pub(crate) use self::listing::{Existence, RegisteredConnector, RegisteredConsumer, TopicKind, TopicRow, registered};
pub(crate) use self::waiting::{Waiting, WaitingCommand};

/// What the commands do.
pub(crate) trait Commands {
    /// The consumers of this program as they are declared: neither settings nor services are asked.
    fn registered(&self) -> Vec<RegisteredConsumer>;

    /// Its connectors, likewise.
    fn registered_connectors(&self) -> Vec<RegisteredConnector>;

    /// Consumes until told to stop, or until the end. The text says what was done.
    fn consume(self, arguments: ConsumeArgs) -> impl Future<Output = Result<String, Failure>>;

    /// The topics of this program and of the broker.
    ///
    /// `create`: creates those that are missing, first.
    fn topics(self, create: bool) -> impl Future<Output = Result<Vec<TopicRow>, Failure>>;

    /// Validates, publishes, checks, restarts, pauses or resumes connectors; `say` is told of each step when it is done.
    /// The text is what is left to say.
    #[cfg(feature = "connect")]
    fn connect(
        self,
        arguments: ConnectArgs,
        say: impl FnMut(crate::connect::step::Step),
    ) -> impl Future<Output = Result<String, Failure>>;

    /// Runs migrations; gives the names of those that were run.
    fn migrate(self) -> impl Future<Output = Result<Vec<String>, Failure>>;

    /// The dead letters that are asked for.
    fn dead_letters(self, selection: DlqSelection, look: Look) -> impl Future<Output = Result<Letters, Failure>>;

    /// Handles dead letters again.
    fn replay(self, selection: DlqSelection, how: Replay) -> impl Future<Output = Result<ReplayReport, Failure>>;

    /// What waits for rows, `limit` messages at most.
    fn waiting(self, limit: i64) -> impl Future<Output = Result<Waiting, Failure>>;

    /// How much waits for each row.
    fn waiting_counts(self, limit: i64) -> impl Future<Output = Result<Waiting, Failure>>;

    /// Waiting messages by their numbers.
    fn waiting_messages(self, numbers: Vec<i64>) -> impl Future<Output = Result<Waiting, Failure>>;

    /// Handles waiting messages whose rows are there, all or these; how many wait no more.
    fn resolve_waiting(self, numbers: Vec<i64>) -> impl Future<Output = Result<usize, Failure>>;

    /// Forgets waiting messages; how many there were.
    fn discard_waiting(self, numbers: Vec<i64>) -> impl Future<Output = Result<usize, Failure>>;

    /// Runs the daemon that resolves relations until told to stop.
    fn resolve_relations(self) -> impl Future<Output = Result<String, Failure>>;

    /// Stores Temporal's schedule; the text says what was done.
    #[cfg(feature = "temporal")]
    fn sync_temporal_schedules(self) -> impl Future<Output = Result<String, Failure>>;

    /// Runs Temporal's worker until told to stop.
    #[cfg(feature = "temporal")]
    fn temporal_worker(self) -> impl Future<Output = Result<String, Failure>>;

    /// Looks at everything that a start needs.
    fn check(self) -> impl Future<Output = CheckReport>;
}

/// Reads the command line. Help, and what is wrong with the line, is written where it belongs; then the code is
/// what is left to do.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<CommandLine, ExitCode> {
    args::parse(arguments).map_err(|error| {
        // Nobody is left to tell where the stream is closed.
        let _ = error.print();
        // clap's own codes: 0 for help, 2 for wrong use.
        u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
    })
}

/// Does what the command line asks for.
pub(crate) async fn dispatch(line: CommandLine, commands: impl Commands) -> ExitCode {
    let result = match line.command {
        None => {
            let help = args::command(&line.program).render_help();
            let (consumers, connectors) = (commands.registered(), commands.registered_connectors());
            let connectors = listing::registered_connectors(&connectors, &line.program);
            Ok(format!("{help}\n{}{connectors}", registered(&consumers, &line.program)))
        }
        Some(Command::Completions { shell }) => Ok(args::completions(shell, &line.program)),
        Some(Command::Consume(arguments)) => commands.consume(arguments).await,
        Some(Command::Topics { create, json }) => commands
            .topics(create)
            .await
            .map(|rows| if json { listing::topics_json(&rows) } else { listing::topics(&rows) }),
        #[cfg(feature = "connect")]
        Some(Command::Connect(arguments)) if arguments.is_idle() => Ok(args::help(&line.program, "connect")),
        #[cfg(feature = "connect")]
        Some(Command::Connect(arguments)) => manage_connectors(arguments, commands).await,
        Some(Command::Migrate) => commands.migrate().await.map(|names| listing::migrated(&names)),
        Some(Command::Dlq(command)) => return dispatch_dlq(command, commands).await,
        Some(Command::Waiting(command)) => dispatch_waiting(command, commands).await,
        Some(Command::ResolveRelations) => commands.resolve_relations().await,
        #[cfg(feature = "temporal")]
        Some(Command::SyncTemporalSchedules) => commands.sync_temporal_schedules().await,
        #[cfg(feature = "temporal")]
        Some(Command::TemporalWorker) => commands.temporal_worker().await,
        Some(Command::Check) => {
            let report = commands.check().await;
            say(&report.render());
            return report.exit().into();
        }
    };
    match result {
        Ok(text) => {
            say(&text);
            Exit::Done.into()
        }
        Err(failure) => failure.report(),
    }
}

async fn dispatch_waiting(command: WaitingCommand, commands: impl Commands) -> Result<String, Failure> {
    match command {
        WaitingCommand::List { limit, by_relation: true, json } => {
            let found = commands.waiting_counts(limit).await?;
            Ok(if json { waiting::counts_json(&found) } else { waiting::counts(&found) })
        }
        WaitingCommand::List { limit, by_relation: false, json } => {
            let found = commands.waiting(limit).await?;
            Ok(if json { waiting::as_json(&found.messages) } else { waiting::list(&found, limit) })
        }
        WaitingCommand::Show { numbers, json } => {
            let found = commands.waiting_messages(numbers).await?;
            Ok(if json { waiting::as_json(&found.messages) } else { waiting::show(&found.messages) })
        }
        WaitingCommand::Resolve { numbers, json } => {
            let resolved = commands.resolve_waiting(numbers).await?;
            Ok(if json {
                serde_json::json!({ "resolved": resolved }).to_string()
            } else {
                waiting::sentence(resolved, "waits no more", "wait no more")
            })
        }
        WaitingCommand::Discard { numbers, json } => {
            let discarded = commands.discard_waiting(numbers).await?;
            Ok(if json {
                serde_json::json!({ "discarded": discarded }).to_string()
            } else {
                waiting::sentence(discarded, "is forgotten", "are forgotten")
            })
        }
    }
}

async fn dispatch_dlq(command: DlqCommand, commands: impl Commands) -> ExitCode {
    let done = match command {
        DlqCommand::List { selection, limit, all, json } => {
            let found = commands.dead_letters(selection, Look { limit, all, is_full: false }).await;
            found.map(|found| (if json { dlq::letters_json(&found) } else { dlq::list(&found) }, Exit::Done))
        }
        DlqCommand::Show { selection, limit, all, json } => {
            let found = commands.dead_letters(selection, Look { limit, all, is_full: true }).await;
            found.map(|found| (if json { dlq::letters_json(&found) } else { dlq::show(&found) }, Exit::Done))
        }
        DlqCommand::Replay { selection, limit, dry_run, force, json } => {
            let report = commands.replay(selection, Replay { limit, is_dry: dry_run, is_forced: force }).await;
            report
                .map(|report| (if json { dlq::replayed_json(&report) } else { dlq::replayed(&report) }, report.exit()))
        }
    };
    match done {
        Ok((text, exit)) => {
            say(&text);
            exit.into()
        }
        Err(failure) => failure.report(),
    }
}

/// Shows each step when it is done; as JSON, all at the end.
#[cfg(feature = "connect")]
async fn manage_connectors(arguments: ConnectArgs, commands: impl Commands) -> Result<String, Failure> {
    use crate::connect::step::{Kind, Step};

    let is_json = arguments.is_json();
    let (mut listed, mut steps): (Vec<Step>, Vec<Step>) = (Vec::new(), Vec::new());
    let show_list = |listed: &mut Vec<Step>| {
        if !listed.is_empty() {
            say(&connect::listing(&std::mem::take(listed)));
        }
    };
    let result = commands
        .connect(arguments, |step| match step.kind {
            _ if is_json => steps.push(step),
            Kind::List => listed.push(step),
            _ => {
                show_list(&mut listed);
                say(&connect::step(&step));
            }
        })
        .await;
    show_list(&mut listed);
    // Where nothing was begun, the failure says all.
    if is_json && (result.is_ok() || !steps.is_empty()) {
        say(&connect::json(&steps));
        return result.map(|_| String::new());
    }
    result
}

/// Writes to standard output. A reader that has gone (`| head`) is no error.
pub(crate) fn say(text: &str) {
    let text = text.trim_end();
    if !text.is_empty() {
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }
}
