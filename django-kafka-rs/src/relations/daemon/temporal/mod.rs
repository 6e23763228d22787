//! Temporal as the daemon: its schedule says when, its workflows say which, and keep at it.
//!
//! The schedule starts the workflow `ResolveRelations`, which starts a `ResolveRelation` for each relation that messages
//! wait for and whose row is there by now. A workflow's id is its relation's identity, so that a relation is resolved by
//! one workflow at a time, whoever asks for it. The activities ask the [`Resolver`]: nothing here knows what waits, or
//! what becomes of it.

mod activities;
mod client;
mod error;
mod schedule;
mod worker;
mod workflows;

use std::future::Future;
use std::pin::Pin;

use tokio_util::sync::CancellationToken;

pub(crate) use self::error::TemporalError;
pub(crate) use self::schedule::{Scheduled, check, interval, sync};
pub(crate) use self::worker::work;
use super::{Resolver, ResolverDaemon};
use crate::settings::Settings;

/// The schedule's id, and the beginning of the ids of the workflows that it starts.
pub(crate) const SCHEDULE_ID: &str = "resolve-awaited-relations";

/// What `relation_resolver_daemon = "temporal"` stands for: a process of its own.
pub(crate) struct TemporalDaemon {
    settings: Settings,
}

impl TemporalDaemon {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone() }
    }
}

impl ResolverDaemon for TemporalDaemon {
    fn runs_inside(&self) -> bool {
        false
    }

    fn command(&self) -> &'static str {
        "temporal-worker"
    }

    fn run(&self, resolver: Resolver, stop: CancellationToken) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let settings = self.settings.clone();
        let runtime = tokio::runtime::Handle::current();
        // Temporal's worker stays on the thread where it began.
        let working = move || runtime.block_on(work(&settings, &resolver, &stop));
        Box::pin(async move {
            match tokio::task::spawn_blocking(working).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("{error}"),
                Err(error) => tracing::error!("the worker ended by a fault of ours: {error}"),
            }
        })
    }
}
