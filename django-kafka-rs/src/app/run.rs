//! `run`: the application behind its command line.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::dlq;
use super::waiting::Office;
use super::{App, ConsumeOptions, Handle, Parts, StartError, Summary, check};
use crate::cli::progress::{ProgressView, summary_text};
use crate::cli::{
    self, CheckReport, Commands, ConsumeArgs, DlqSelection, Exit, Failure, GlobalArgs, Letters, Look,
    RegisteredConnector, RegisteredConsumer, Replay, ReplayReport, TopicRow,
};
use crate::telemetry;

/// How often progress is looked at.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Runs the application that is linked into this program, by its command line: `App::from_linked().run()`.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     django_kafka_rs::run()
/// }
/// ```
#[must_use]
pub fn run() -> ExitCode {
    App::from_linked().run()
}

impl App {
    /// Reads the command line and does what it says. Without a command: help, and what is registered.
    ///
    /// Exit codes: 0 done, 1 failed, 2 wrong use, settings or declarations, 3 ended by a second signal.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let line = match cli::parse(std::env::args_os()) {
            Ok(line) => line,
            Err(code) => return code,
        };
        telemetry::install(line.global.log_format, line.global.verbosity());
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!("the process has no threads left for its runtime: {error}");
                return ExitCode::FAILURE;
            }
        };
        let commands = AppCommands { global: line.global.clone(), app: self };
        let code = runtime.block_on(cli::dispatch(line, commands));
        // Whatever still blocks (a client that closes without its broker) must not hold the process.
        runtime.shutdown_background();
        code
    }
}

struct AppCommands {
    global: GlobalArgs,
    app: App,
}

impl AppCommands {
    fn parts(mut self) -> Result<Parts, StartError> {
        self.app.embedded |= self.global.embedded;
        Parts::load(self.app, self.global.settings)
    }
}

impl AppCommands {
    /// Looks at waiting messages, or has them handled.
    async fn in_office<T: Send + 'static>(
        self,
        work: impl FnOnce(&Office) -> Result<T, StartError> + Send + 'static,
    ) -> Result<T, Failure> {
        let mut parts = self.parts()?;
        blocking(move || Office::open(&mut parts).and_then(|office| work(&office)).map_err(Into::into)).await?
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::new(error.exit(), error.to_string())
    }
}

impl Commands for AppCommands {
    fn registered(&self) -> Vec<RegisteredConsumer> {
        let consumers = self.app.registry.consumers.iter();
        consumers
            .map(|consumer| RegisteredConsumer {
                name: consumer.type_name.to_owned(),
                group: consumer.group.to_owned(),
                topics: consumer.topics.iter().map(|topic| topic.declaration.name.to_owned()).collect(),
                declared_at: consumer.location.to_string(),
            })
            .collect()
    }

    fn registered_connectors(&self) -> Vec<RegisteredConnector> {
        let connectors = self.app.registry.connectors.iter();
        connectors
            .map(|connector| RegisteredConnector {
                name: connector.type_name.to_owned(),
                declared_at: connector.location.to_string(),
            })
            .collect()
    }

    async fn consume(self, arguments: ConsumeArgs) -> Result<String, Failure> {
        let parts = self.parts()?;
        for warning in parts.settings.warnings() {
            tracing::warn!("{warning}");
        }
        let started = Instant::now();
        let options = ConsumeOptions { names: arguments.consumers, until_end: arguments.until_end, owns_process: true };
        let handle = parts.start(options).await?;
        if let Some(servers) = handle.embedded_bootstrap_servers() {
            cli::say(&format!("embedded broker at {servers}: any Kafka client on this machine can produce to it"));
        }
        let ended = tokio::select! {
            ended = wait(&handle, arguments.until_end, started) => ended,
            ended = stop_at_signals(&handle) => ended,
        };
        let summary = match ended {
            Ok(summary) => summary,
            // An orderly end: it was said, nothing is committed of it, and whoever comes next reads it again.
            Err(super::RunError::Abandoned { .. }) => handle.summary(),
            Err(error) => return Err(Failure::new(Exit::Failed, error.to_string())),
        };
        Ok(summary_text(&summary, started.elapsed()))
    }

    async fn topics(self, create: bool) -> Result<Vec<TopicRow>, Failure> {
        let parts = self.parts()?;
        blocking(move || check::topics(parts, create).map_err(Into::into)).await?
    }

    #[cfg(feature = "connect")]
    async fn connect(
        self,
        arguments: cli::ConnectArgs,
        say: impl FnMut(crate::connect::step::Step),
    ) -> Result<String, Failure> {
        super::connect::connect(self.parts()?, &arguments, say).await
    }

    async fn migrate(self) -> Result<Vec<String>, Failure> {
        let parts = self.parts()?;
        blocking(move || check::migrate(parts).map_err(Into::into)).await?
    }

    async fn dead_letters(self, selection: DlqSelection, look: Look) -> Result<Letters, Failure> {
        let mut parts = self.parts()?;
        blocking(move || dlq::letters(&mut parts, &selection, look).map_err(Into::into)).await?
    }

    async fn replay(self, selection: DlqSelection, how: Replay) -> Result<ReplayReport, Failure> {
        let mut parts = self.parts()?;
        let shows_progress = std::io::IsTerminal::is_terminal(&std::io::stderr());
        blocking(move || dlq::replay(&mut parts, &selection, how, shows_progress).map_err(Into::into)).await?
    }

    async fn waiting(self, limit: i64) -> Result<cli::Waiting, Failure> {
        self.in_office(move |office| office.list(limit)).await
    }

    async fn waiting_counts(self, limit: i64) -> Result<cli::Waiting, Failure> {
        self.in_office(move |office| office.counts(limit)).await
    }

    async fn waiting_messages(self, numbers: Vec<i64>) -> Result<cli::Waiting, Failure> {
        self.in_office(move |office| office.find(&numbers)).await
    }

    async fn resolve_waiting(self, numbers: Vec<i64>) -> Result<usize, Failure> {
        self.in_office(move |office| office.resolve(&numbers)).await
    }

    async fn discard_waiting(self, numbers: Vec<i64>) -> Result<usize, Failure> {
        self.in_office(move |office| office.discard(&numbers)).await
    }

    async fn resolve_relations(self) -> Result<String, Failure> {
        let mut parts = self.parts()?;
        let daemon = parts.daemon(&parts.settings)?;
        if daemon.command() != "resolve-relations" {
            let message = format!(
                "messages that wait for rows are handled by `{}`, as `relation_resolver_daemon` says: run that",
                daemon.command()
            );
            return Err(Failure::new(Exit::WrongUse, message));
        }
        let office = blocking(move || Office::open_for_daemon(&mut parts)).await??;
        let stop = CancellationToken::new();
        let running = office.run(&*daemon, stop.clone());
        tokio::pin!(running);
        tokio::select! {
            () = &mut running => {}
            () = signal() => {
                stop.cancel();
                running.await;
            }
        }
        Ok(String::new())
    }

    #[cfg(feature = "temporal")]
    async fn sync_temporal_schedules(self) -> Result<String, Failure> {
        super::temporal::sync_schedules(&self.parts()?).await
    }

    #[cfg(feature = "temporal")]
    async fn temporal_worker(self) -> Result<String, Failure> {
        Box::pin(super::temporal::work(self.parts()?)).await
    }

    async fn check(self) -> CheckReport {
        let mut report = CheckReport::default();
        match self.parts() {
            Err(error) => {
                report.add("settings", error.finding());
                report
            }
            Ok(parts) => blocking(move || check::check(parts, report)).await.unwrap_or_default(),
        }
    }
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Failure::new(Exit::Failed, format!("a fault of ours: {e}")))
}

/// Waits for the end, and shows how far it is.
async fn wait(handle: &Handle, until_end: bool, started: Instant) -> Result<Summary, super::RunError> {
    if !until_end || !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        return handle.wait().await;
    }
    let view = ProgressView::new();
    let ended = handle.wait();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            ended = &mut ended => {
                view.finish();
                return ended;
            }
            () = tokio::time::sleep(PROGRESS_INTERVAL) => {
                let done = handle.summary().handled;
                view.update(done, done + handle.backlog().await, started.elapsed());
            }
        }
    }
}

/// The first signal asks for an orderly end, the second ends the process.
async fn stop_at_signals(handle: &Handle) -> Result<Summary, super::RunError> {
    signal().await;
    tracing::info!("stopping: what is under way is finished and committed; a second signal ends at once");
    let ended = handle.shutdown();
    tokio::select! {
        ended = ended => ended,
        () = signal() => {
            tracing::warn!("ended by a second signal; what was not committed will be read again");
            std::process::exit(Exit::Forced.code().into());
        }
    }
}

/// Returns at SIGINT or SIGTERM.
pub(super) async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(mut interrupt), Ok(mut terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            _ => std::future::pending().await,
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
