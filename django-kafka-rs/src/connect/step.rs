//! What was done with each connector: for people and for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::{Fault, Status};
use super::resolve::FilledConfig;

/// One thing that was done with one connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// What was to be done.
    #[serde(rename = "step")]
    pub(crate) kind: Kind,
    /// The struct's name.
    pub(crate) connector: String,
    /// As Kafka Connect has it.
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// What was to be done, in the order in which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    List,
    Validate,
    Publish,
    CheckStatus,
    Restart,
    Pause,
    Resume,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It is declared.
    Declared { class: Option<String>, mark_for_removal: bool, declared_at: String },
    /// The configuration is right.
    Valid { warnings: Vec<String> },
    /// These keys are not.
    Invalid { faults: Vec<Fault>, warnings: Vec<String> },
    /// There was no such connector.
    Created { changes: Vec<Change> },
    /// It had another configuration.
    Updated { changes: Vec<Change> },
    /// It has this configuration.
    Unchanged,
    /// It was to be removed.
    Removed,
    /// It was to be removed, and is not there.
    Absent,
    /// What a publication would do; nothing was sent.
    WouldCreate { changes: Vec<Change> },
    /// The same.
    WouldUpdate { changes: Vec<Change> },
    /// The same.
    WouldRemove,
    /// It is as it should be.
    Ok { status: Shown },
    /// It is not.
    NotOk { why: String, status: Option<Shown> },
    /// It was not done, and need not be.
    Skipped { why: String },
    /// It could not be done.
    Failed { error: String },
}

impl Outcome {
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::Invalid { .. } | Self::NotOk { .. } | Self::Failed { .. })
    }
}

/// A key that a publication changes; values as they may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) key: String,
    /// `None`: it is new.
    pub(crate) before: Option<String>,
    /// `None`: it goes.
    pub(crate) after: Option<String>,
}

/// What publishing changes: nothing, where the running configuration is the declared one.
pub(crate) fn changes(running: &BTreeMap<String, String>, declared: &FilledConfig) -> Vec<Change> {
    let values = declared.values();
    // Kafka Connect adds it by itself.
    let goes = running.iter().filter(|(key, _)| *key != "name" && !values.contains_key(key.as_str()));
    let mut changes: Vec<Change> = goes
        .map(|(key, value)| Change { key: key.clone(), before: Some(declared.shown_of_other(key, value)), after: None })
        .collect();
    for (key, value) in values {
        let before = running.get(key);
        if before.is_none_or(|before| before != value) {
            changes.push(Change {
                key: key.to_owned(),
                before: before.map(|before| declared.shown_of_other(key, before)),
                after: declared.shown(key),
            });
        }
    }
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    changes
}

/// A status as people and programs read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    pub(crate) state: String,
    pub(crate) worker: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) trace: Vec<String>,
    pub(crate) tasks: Vec<ShownTask>,
}

/// A task of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ShownTask {
    pub(crate) id: u32,
    pub(crate) state: String,
    pub(crate) worker: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) trace: Vec<String>,
}

impl Shown {
    /// `scrub` takes secrets out of traces.
    pub(crate) fn of(status: &Status, scrub: impl Fn(&str) -> String) -> Self {
        let lines = |lines: Vec<String>| lines.iter().map(|line| scrub(line)).collect();
        Self {
            state: status.connector.state.clone(),
            worker: status.connector.worker_id.clone(),
            trace: lines(status.connector.why()),
            tasks: status
                .tasks
                .iter()
                .map(|task| ShownTask {
                    id: task.id,
                    state: task.state.clone(),
                    worker: task.worker_id.clone(),
                    trace: lines(task.why()),
                })
                .collect(),
        }
    }
}
