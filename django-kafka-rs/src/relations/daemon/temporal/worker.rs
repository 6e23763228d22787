//! The worker: what the command `temporal-worker` runs.

use std::time::{Duration, Instant};

use temporalio_client::Client;
use temporalio_sdk::runtime::RuntimeOptions;
use temporalio_sdk::runtime::worker_tuner::{FixedSizeSlotSupplier, TunerHolder};
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use tokio_util::sync::CancellationToken;

use super::activities::Activities;
use super::client::connect;
use super::error::{TemporalError, chain};
use super::workflows::{ResolveRelation, ResolveRelations};
use crate::relations::Resolver;
use crate::settings::Settings;

/// Workflow tasks at the same time: they decide only, so that they cost little.
const WORKFLOW_TASKS_MAX: usize = 20;
/// A worker that ran for so long is not the one that could not.
const RAN_WELL: Duration = Duration::from_secs(60);

/// The pauses between attempts: each twice the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Self::MIN)
    }
}

impl Pause {
    const MIN: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(30);

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(Self::MAX);
        pause
    }
}

/// Runs workflows and activities until told to stop; what is under way then is given `shutdown_timeout`. A server that
/// is away is waited for, at the start and later.
///
/// # Errors
/// Settings are wrong.
pub(crate) async fn work(
    settings: &Settings,
    resolver: &Resolver,
    stop: &CancellationToken,
) -> Result<(), TemporalError> {
    let runtime =
        Runtime::from_current_tokio(RuntimeOptions::default()).map_err(|error| TemporalError::Worker(chain(&error)))?;
    let mut pause = Pause::default();
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let error = match stop.run_until_cancelled(connect(settings)).await {
            None => break,
            Some(Err(error)) => error,
            Some(Ok(client)) => match serve(&runtime, client, settings, resolver, stop).await {
                Ok(()) if stop.is_cancelled() => break,
                Ok(()) => TemporalError::Worker("nobody asked it to".to_owned()),
                Err(error) => error,
            },
        };
        if error.is_lasting() {
            return Err(error);
        }
        if begun.elapsed() > RAN_WELL {
            pause = Pause::default();
        }
        let pause = pause.next();
        tracing::warn!("messages that wait for rows stay for now, tried again in {pause:?}: {error}");
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
    tracing::info!("temporal-worker has stopped");
    Ok(())
}

/// One worker, from its connection to its end.
async fn serve(
    runtime: &Runtime,
    client: Client,
    settings: &Settings,
    resolver: &Resolver,
    stop: &CancellationToken,
) -> Result<(), TemporalError> {
    let ended = |error: &dyn std::error::Error| TemporalError::Worker(chain(error));
    let queue = &settings.temporal_task_queue;
    let activities = Activities::new(client.clone(), queue.clone(), resolver.clone(), stop.clone());
    let options = WorkerOptions::new(queue)
        .register_workflow::<ResolveRelations>()
        .map_err(|error| ended(&error))?
        .register_workflow::<ResolveRelation>()
        .map_err(|error| ended(&error))?
        .register_activities(activities)
        .tuner(slots(settings))
        .graceful_shutdown_period(settings.shutdown_timeout)
        .build();
    let mut worker = Worker::new(runtime, client, options).map_err(|error| ended(&error))?;
    let shut_down = worker.shutdown_handle();
    tracing::info!(
        task_queue = queue,
        namespace = settings.temporal.namespace,
        address = settings.temporal.address,
        "temporal-worker has started"
    );
    let running = worker.run();
    tokio::pin!(running);
    tokio::select! {
        result = &mut running => return result.map_err(|error| ended(&error)),
        () = stop.cancelled() => shut_down(),
    }
    running.await.map_err(|error| ended(&error))
}

/// Activities work in the database: as many at the same time as a consumer's batches.
fn slots(settings: &Settings) -> TunerHolder {
    let activities = usize::try_from(settings.batch.workers).unwrap_or(1).max(1);
    TunerHolder::builder()
        .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(WORKFLOW_TASKS_MAX))
        .activity_task_slot_supplier(FixedSizeSlotSupplier::new(activities))
        .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let mut pause = Pause::default();
        let pauses: Vec<u64> = (0..7).map(|_| pause.next().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }
}
