//! What can be wrong with Temporal.

use std::error::Error;

/// Temporal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemporalError {
    /// A setting is wrong. Trying again changes nothing.
    #[error("{0}")]
    Settings(String),
    /// The server does not answer.
    #[error(
        "Temporal at `{address}` does not answer: {why}; is it running, and is the address right (`temporal.address`)?"
    )]
    Away {
        /// As the settings have it.
        address: String,
        /// The client's words.
        why: String,
    },
    /// The server answers, and refuses.
    #[error("{what}: Temporal's namespace `{namespace}` refuses: {why}")]
    Refused {
        /// What was not done.
        what: &'static str,
        /// The namespace.
        namespace: String,
        /// The server's words.
        why: String,
    },
    /// Somebody else's schedule.
    #[error(
        "the schedule `{id}` of Temporal's namespace `{namespace}` is for task queue `{queue}`, and \
         `temporal_task_queue` is `{wanted}`: give each service a namespace of its own (`temporal.namespace`), or, where \
         the queue was renamed, delete the schedule first: `temporal schedule delete --schedule-id {id} --namespace \
         {namespace}`",
        id = super::SCHEDULE_ID
    )]
    Foreign {
        /// The namespace.
        namespace: String,
        /// The schedule's queue.
        queue: String,
        /// Ours.
        wanted: String,
    },
    /// The worker cannot run.
    #[error("the worker ended: {0}")]
    Worker(String),
}

impl TemporalError {
    /// Whether trying again may help.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::Settings(_) | Self::Foreign { .. })
    }
}

/// An error and what caused it, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        // Many repeat their cause.
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = source.source();
    }
    text
}
