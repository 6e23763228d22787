//! The commands of Temporal's: its schedule and its worker.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::run::{blocking, signal};
use super::waiting::Office;
use super::{Parts, StartError};
use crate::cli::{CheckReport, Exit, Failure, Finding};
use crate::relations::temporal::{self, SCHEDULE_ID, Scheduled, TemporalError};
use crate::settings::{RelationResolverDaemon, Settings};

/// What the worker itself needs beyond `shutdown_timeout` to take leave of the server.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

impl From<TemporalError> for StartError {
    fn from(error: TemporalError) -> Self {
        match error {
            TemporalError::Settings(message) => Self::WrongUse(message),
            error => Self::Temporal(error.to_string()),
        }
    }
}

/// Creates the schedule, or brings it up to date.
pub(super) async fn sync_schedules(parts: &Parts) -> Result<String, Failure> {
    let settings = &parts.settings;
    warn_if_local(settings);
    let done = match temporal::sync(settings).await.map_err(StartError::from)? {
        Scheduled::Created => "created",
        Scheduled::Updated => "updated",
    };
    Ok(format!("{done} {}", describe(settings)))
}

fn describe(settings: &Settings) -> String {
    format!(
        "schedule `{SCHEDULE_ID}`: every {}, task queue `{}`, namespace `{}`",
        humantime::format_duration(temporal::interval(settings)),
        settings.temporal_task_queue,
        settings.temporal.namespace
    )
}

/// Runs the worker until a signal; what is under way then is given `shutdown_timeout`. A second signal ends at once.
pub(super) async fn work(mut parts: Parts) -> Result<String, Failure> {
    warn_if_local(&parts.settings);
    // What is opened takes them.
    let settings = parts.settings.clone();
    let timeout = settings.shutdown_timeout;
    let office = blocking(move || Office::open_for_daemon(&mut parts)).await??;
    let stop = CancellationToken::new();
    let running = office.work_for_temporal(&settings, stop.clone());
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => {
            ended?;
            return Ok(String::new());
        }
        () = signal() => stop.cancel(),
    }
    tracing::info!("stopping: what is under way is finished; a second signal ends at once");
    tokio::select! {
        ended = tokio::time::timeout(timeout + LEAVE_TIMEOUT, &mut running) => match ended {
            Ok(ended) => ended?,
            Err(_) => tracing::warn!(
                "what is under way is left to the next worker: it took longer than `shutdown_timeout`, {timeout:?}"
            ),
        },
        () = signal() => {
            tracing::warn!("ended by a second signal; what was not committed is done again by the next worker");
            std::process::exit(Exit::Forced.code().into());
        }
    }
    Ok(String::new())
}

fn warn_if_local(settings: &Settings) {
    if settings.relation_resolver_daemon != RelationResolverDaemon::Temporal {
        tracing::warn!(
            "`relation_resolver_daemon` is `{}`: `consume` handles what waits for rows itself; set it to `temporal`",
            settings.relation_resolver_daemon.name()
        );
    }
}

/// Whether Temporal answers and has the schedule: a line of `check`, where Temporal is asked to resolve relations.
pub(super) fn check(report: &mut CheckReport, settings: &Settings) {
    if settings.relation_resolver_daemon != RelationResolverDaemon::Temporal {
        return;
    }
    let finding = match tokio::runtime::Handle::current().block_on(temporal::check(settings)) {
        Ok(true) => Finding::Ok(format!("answers; {}", describe(settings))),
        Ok(false) => Finding::Failed {
            exit: Exit::Failed,
            message: format!("no schedule `{SCHEDULE_ID}` yet: run `sync-temporal-schedules`"),
        },
        Err(error) => StartError::from(error).finding(),
    };
    report.add("temporal", finding);
}
