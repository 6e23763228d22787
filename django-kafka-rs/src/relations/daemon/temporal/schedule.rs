//! The schedule: what the command `sync-temporal-schedules` stores, and what `check` says of it.

use std::time::Duration;

use temporalio_client::schedules::{
    CreateScheduleOptions, ScheduleAction, ScheduleDescriptionAction, ScheduleError, ScheduleOverlapPolicy,
    ScheduleSpec, ScheduleUpdate,
};
use temporalio_client::{Client, RpcOptions};

use super::client::connect;
use super::error::{TemporalError, chain};
use super::workflows::ResolveRelations;
use super::{SCHEDULE_ID, worker};
use crate::settings::Settings;

/// gRPC's numbers.
const NOT_FOUND: i32 = 5;
const ALREADY_EXISTS: i32 = 6;

/// Times that Temporal's worker or the server was away for are not made up for: one look finds all. The least that the
/// server takes.
const CATCHUP_WINDOW: Duration = Duration::from_secs(10);

/// The shortest interval that a schedule has.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// How often the command tries to reach Temporal, and how long it waits between.
const ATTEMPTS_MAX: u32 = 5;

/// How the schedule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheduled {
    /// It was not there.
    Created,
    /// It was there, and is as the settings have it by now.
    Updated,
}

/// Creates the schedule that starts `ResolveRelations`, or brings it up to date with the settings. Temporal is given some
/// seconds to come.
///
/// # Errors
/// Temporal refuses, or does not answer; or the schedule is another service's.
pub(crate) async fn sync(settings: &Settings) -> Result<Scheduled, TemporalError> {
    let mut pause = worker::Pause::default();
    for _ in 1..ATTEMPTS_MAX {
        match sync_once(settings).await {
            Err(error) if !error.is_lasting() => {
                let pause = pause.next();
                tracing::warn!("tried again in {pause:?}: {error}");
                tokio::time::sleep(pause).await;
            }
            done => return done,
        }
    }
    sync_once(settings).await
}

async fn sync_once(settings: &Settings) -> Result<Scheduled, TemporalError> {
    let client = connect(settings).await?;
    let queue = &settings.temporal_task_queue;
    let action = ScheduleAction::start_workflow(ResolveRelations::run, (), queue, SCHEDULE_ID);
    let spec = ScheduleSpec::from_interval(interval(settings));
    let options = CreateScheduleOptions::builder()
        .action(action.clone())
        .spec(spec.clone())
        // What the running one does not find, the next one does.
        .overlap_policy(ScheduleOverlapPolicy::Skip)
        .trigger_immediately(true)
        .build();
    let scheduled = match client.create_schedule(SCHEDULE_ID, options).await {
        Ok(_) => Scheduled::Created,
        Err(ScheduleError::Rpc(status)) if status.code() as i32 == ALREADY_EXISTS => Scheduled::Updated,
        Err(error) => return Err(refused(settings, &error)),
    };
    if scheduled == Scheduled::Updated {
        check_queue(&client, settings).await?;
    }
    let update = move |schedule: &mut ScheduleUpdate| {
        schedule
            .set_action(action)
            .set_spec(spec)
            .set_overlap_policy(ScheduleOverlapPolicy::Skip)
            .set_catchup_window(CATCHUP_WINDOW);
    };
    let handle = client.get_schedule_handle(SCHEDULE_ID);
    handle.update(update, RpcOptions::default()).await.map_err(|error| refused(settings, &error))?;
    Ok(scheduled)
}

/// Whether Temporal has the schedule.
///
/// # Errors
/// As [`sync`].
pub(crate) async fn check(settings: &Settings) -> Result<bool, TemporalError> {
    let client = connect(settings).await?;
    check_queue(&client, settings).await
}

/// Whether the schedule is there; an error, where it is for another task queue.
async fn check_queue(client: &Client, settings: &Settings) -> Result<bool, TemporalError> {
    let described = match client.get_schedule_handle(SCHEDULE_ID).describe(RpcOptions::default()).await {
        Ok(described) => described,
        Err(ScheduleError::Rpc(status)) if status.code() as i32 == NOT_FOUND => return Ok(false),
        Err(error) => return Err(refused(settings, &error)),
    };
    let ScheduleDescriptionAction::StartWorkflow(action) = described.action() else { return Ok(true) };
    if action.task_queue() == settings.temporal_task_queue {
        return Ok(true);
    }
    Err(TemporalError::Foreign {
        namespace: settings.temporal.namespace.clone(),
        queue: action.task_queue().to_owned(),
        wanted: settings.temporal_task_queue.clone(),
    })
}

/// The interval that the schedule gets.
pub(crate) fn interval(settings: &Settings) -> Duration {
    Duration::from_secs(settings.relation_resolver_daemon_interval.as_secs()).max(INTERVAL_MIN)
}

fn refused(settings: &Settings, error: &ScheduleError) -> TemporalError {
    let why = match error {
        ScheduleError::Rpc(status) => format!("{:?}: {}", status.code(), status.message()),
        error => chain(error),
    };
    let what = "the schedule `resolve-awaited-relations` cannot be read or stored";
    TemporalError::Refused { what, namespace: settings.temporal.namespace.clone(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_have_whole_seconds() {
        let check = |ms, seconds| {
            let mut settings = Settings::default();
            settings.relation_resolver_daemon_interval = Duration::from_millis(ms);
            assert_eq!(interval(&settings), Duration::from_secs(seconds), "{ms}");
        };
        check(1, 1);
        check(1_999, 1);
        check(5_000, 5);
    }
}
