//! The activities: what workflows have done.

#![expect(unreachable_pub, reason = "what Temporal's macros make of these items is public")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use temporalio_client::errors::WorkflowStartError;
use temporalio_client::{Client, WorkflowStartOptions};
use temporalio_common::error::ApplicationFailure;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio_util::sync::CancellationToken;

use super::error::chain;
use super::workflows::{HEARTBEAT_TIMEOUT, ResolveRelation};
use crate::relations::{ResolveError, Resolver, awaited_of_text};

/// When an activity ends by itself, and the workflow asks again: well before it would be given up.
const TIME_MAX: Duration = Duration::from_secs(5 * 60);
/// Workflows that are started at the same time.
const STARTS_MAX: usize = 16;
/// The longest id of a workflow; Temporal takes 1000 bytes.
const ID_LENGTH_MAX: usize = 900;

/// What the activities work with.
pub struct Activities {
    client: Client,
    queue: String,
    resolver: Resolver,
    stop: CancellationToken,
}

/// How far [`Activities::start_awaited_relations`] came.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Started {
    /// Relations for which a workflow was started, or was under way.
    pub count: u64,
    /// Where to go on; `None`: nowhere, it is done.
    pub next: Option<String>,
}

impl Activities {
    pub(super) fn new(client: Client, queue: String, resolver: Resolver, stop: CancellationToken) -> Self {
        Self { client, queue, resolver, stop }
    }

    /// Has the resolver work on a thread where that may block, with signs of life meanwhile. `alive` says no once the
    /// activity is cancelled, the worker stops, or it took long enough.
    async fn ask<T: Send + 'static>(
        &self,
        ctx: &ActivityContext,
        work: impl FnOnce(&Resolver, &dyn Fn() -> bool) -> Result<T, ResolveError> + Send + 'static,
    ) -> Result<T, ActivityError> {
        let (resolver, stop, watched, begun) = (self.resolver.clone(), self.stop.clone(), ctx.clone(), Instant::now());
        let working = move || {
            let alive = || !stop.is_cancelled() && !watched.is_cancelled() && begun.elapsed() < TIME_MAX;
            work(&resolver, &alive)
        };
        let mut task = tokio::task::spawn_blocking(working);
        let done = loop {
            tokio::select! {
                done = &mut task => break done,
                () = tokio::time::sleep(HEARTBEAT_TIMEOUT / 3) => ctx.record_heartbeat(()).await?,
            }
        };
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error @ ResolveError::Unknown(_))) => Err(ApplicationFailure::non_retryable(error).into()),
            Ok(Err(error)) => {
                tracing::warn!("waiting messages stay for now, Temporal tries again: {error}");
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Starts the workflow of a relation. One that is at it already will find what this one would have.
    async fn start(&self, relation: String) -> Result<(), ActivityError> {
        let options = WorkflowStartOptions::new(&self.queue, workflow_id(&relation)).build();
        match self.client.start_workflow(ResolveRelation::run, relation, options).await {
            Ok(_) | Err(WorkflowStartError::AlreadyStarted { .. }) => Ok(()),
            Err(error) => Err(std::io::Error::other(chain(&error)).into()),
        }
    }
}

#[activities]
impl Activities {
    /// Starts a workflow for each relation whose row is there by now, behind the place `after`.
    #[activity(name = "start_awaited_relations")]
    pub async fn start_awaited_relations(
        self: Arc<Self>,
        ctx: ActivityContext,
        after: Option<String>,
    ) -> Result<Started, ActivityError> {
        let begun = Instant::now();
        let mut started = Started { count: 0, next: after };
        loop {
            let after = started.next.take();
            let page = self.ask(&ctx, move |resolver, _| resolver.resolvable(after.as_deref())).await?;
            let starts = page.relations.into_iter().map(|relation| self.start(relation));
            let mut starts = stream::iter(starts).buffer_unordered(STARTS_MAX);
            while starts.try_next().await?.is_some() {
                started.count += 1;
                ctx.record_heartbeat(started.count).await?;
            }
            started.next = page.next;
            let stops = self.stop.is_cancelled() || ctx.is_cancelled() || begun.elapsed() > TIME_MAX;
            if started.next.is_none() || stops {
                return Ok(started);
            }
        }
    }

    /// Handles what waits for a relation, batch by batch; `true`: there may be more.
    #[activity(name = "resolve_relation")]
    pub async fn resolve_relation(
        self: Arc<Self>,
        ctx: ActivityContext,
        relation: String,
    ) -> Result<bool, ActivityError> {
        self.ask(&ctx, move |resolver, alive| resolver.resolve(&relation, alive)).await
    }

    /// Handles what no relation names: messages that failed and are due again, and what lost the one before it.
    #[activity(name = "resolve_rest")]
    pub async fn resolve_rest(self: Arc<Self>, ctx: ActivityContext) -> Result<(), ActivityError> {
        self.ask(&ctx, |resolver, alive| resolver.resolve_rest(alive)).await
    }
}

/// A relation's identity as a workflow's id.
fn workflow_id(relation: &str) -> String {
    let readable = awaited_of_text(relation);
    let readable =
        readable.map_or_else(|_| relation.to_owned(), |r| format!("{}.{}={}", r.model_key, r.field, r.value));
    let mut id = format!("resolve-relation-{readable}");
    if id.len() > ID_LENGTH_MAX {
        // What is cut off still tells them apart.
        let rest = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, relation.as_bytes());
        let mut cut = ID_LENGTH_MAX;
        while !id.is_char_boundary(cut) {
            cut -= 1;
        }
        id.truncate(cut);
        id = format!("{id}-{rest}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(value: &str) -> String {
        workflow_id(&serde_json::json!({ "model_key": "sales.customers", "field": "id", "value": value }).to_string())
    }

    #[test]
    fn ids_name_the_relation_and_fit() {
        assert_eq!(id("7"), "resolve-relation-sales.customers.id=7");
        let (a, b) = (id(&format!("{}a", "ä".repeat(600))), id(&format!("{}b", "ä".repeat(600))));
        assert!(a.len() < 1_000);
        assert_ne!(a, b);
    }
}
