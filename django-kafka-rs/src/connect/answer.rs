//! What Kafka Connect answers, and what follows from it. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `GET /`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Server {
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) kafka_cluster_id: String,
}

/// One of `GET /connector-plugins`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Plugin {
    pub(crate) class: String,
}

/// `PUT /connector-plugins/{class}/config/validate`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Validation {
    pub(crate) error_count: u32,
    #[serde(default)]
    configs: Vec<ValidatedKey>,
}

#[derive(Debug, Clone, Deserialize)]
struct ValidatedKey {
    value: ValidatedValue,
}

#[derive(Debug, Clone, Deserialize)]
struct ValidatedValue {
    name: String,
    #[serde(default)]
    errors: Vec<String>,
}

/// What is wrong with one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    pub(crate) key: String,
    pub(crate) messages: Vec<String>,
}

impl Validation {
    /// The keys that are wrong, each message once.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let faulty = self.configs.iter().filter(|key| !key.value.errors.is_empty());
        faulty
            .map(|ValidatedKey { value }| {
                let mut messages: Vec<String> = Vec::new();
                for message in &value.errors {
                    if !messages.contains(message) {
                        messages.push(message.clone());
                    }
                }
                Fault { key: value.name.clone(), messages }
            })
            .collect()
    }

    /// The keys that the connector's class has.
    pub(crate) fn known_keys(&self) -> Vec<&str> {
        self.configs.iter().map(|key| key.value.name.as_str()).collect()
    }
}

/// `GET /connectors/{name}/status`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Status {
    pub(crate) connector: ConnectorState,
    #[serde(default)]
    pub(crate) tasks: Vec<TaskState>,
}

/// How the connector itself is; its tasks may be otherwise.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ConnectorState {
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) worker_id: String,
    #[serde(default)]
    trace: Option<String>,
}

/// How one of its tasks is.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TaskState {
    pub(crate) id: u32,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) worker_id: String,
    #[serde(default)]
    trace: Option<String>,
}

impl ConnectorState {
    /// Why it failed, in a few lines.
    pub(crate) fn why(&self) -> Vec<String> {
        first_lines(self.trace.as_deref().unwrap_or_default())
    }
}

impl TaskState {
    /// Why it failed, in a few lines.
    pub(crate) fn why(&self) -> Vec<String> {
        first_lines(self.trace.as_deref().unwrap_or_default())
    }
}

/// What a status says to somebody who waits for the connector to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may run soon.
    NotYet,
    /// The connector and all its tasks run.
    Runs,
    /// It runs, and has nothing to do.
    RunsWithoutTasks,
    /// It will not run by itself.
    DoesNot,
}

/// Judges a status; `None`: Kafka Connect has no such connector (yet).
pub(crate) fn judge(status: Option<&Status>) -> Verdict {
    const SOON: [&str; 2] = ["UNASSIGNED", "RESTARTING"];
    let Some(status) = status else { return Verdict::NotYet };
    let tasks = || status.tasks.iter().map(|task| task.state.as_str());
    let state = status.connector.state.as_str();
    if tasks().any(|state| state == "FAILED") {
        return Verdict::DoesNot;
    }
    if SOON.contains(&state) || (state == "RUNNING" && tasks().any(|state| SOON.contains(&state))) {
        return Verdict::NotYet;
    }
    match state {
        "RUNNING" if status.tasks.is_empty() => Verdict::RunsWithoutTasks,
        "RUNNING" if tasks().all(|state| state == "RUNNING") => Verdict::Runs,
        // A task follows its connector after a moment: from PAUSED, say.
        "RUNNING" => Verdict::NotYet,
        _ => Verdict::DoesNot,
    }
}

/// How often, and how long between, a status is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looks {
    /// Looks after the first one.
    pub(crate) more: u32,
    /// The wait before the second look; it doubles with each.
    pub(crate) first_wait: Duration,
}

impl Looks {
    /// Of `--check-status`: seven seconds together.
    pub(crate) const DEFAULT: Self = Self { more: 3, first_wait: Duration::from_secs(1) };

    /// The wait before look `look` (1 = the second one); `None`: there is no such look.
    pub(crate) fn wait_before(self, look: u32) -> Option<Duration> {
        (look <= self.more).then(|| self.first_wait * 2_u32.saturating_pow(look.saturating_sub(1)))
    }
}

/// A Java stack trace as people need it: what was thrown, and what that was caused by.
fn first_lines(trace: &str) -> Vec<String> {
    const LINES_MAX: usize = 5;
    const LENGTH_MAX: usize = 400;
    let says = |line: &&str| !line.is_empty() && !line.starts_with("at ") && !line.starts_with("...");
    let mut lines: Vec<String> = Vec::new();
    for line in trace.lines().map(str::trim).filter(says) {
        let cut = line.char_indices().nth(LENGTH_MAX).map_or(line.len(), |(at, _)| at);
        let ellipsis = if cut < line.len() { "…" } else { "" };
        lines.push(format!("{}{ellipsis}", &line[..cut]));
        if lines.len() == LINES_MAX {
            break;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(connector: &str, tasks: &[&str]) -> Status {
        Status {
            connector: ConnectorState { state: connector.to_owned(), worker_id: String::new(), trace: None },
            tasks: (0..)
                .zip(tasks)
                .map(|(id, state)| TaskState { id, state: (*state).to_owned(), worker_id: String::new(), trace: None })
                .collect(),
        }
    }

    #[test]
    fn waits_for_what_may_come_and_for_nothing_else() {
        let check = |connector: &str, tasks: &[&str], expected| {
            assert_eq!(judge(Some(&status(connector, tasks))), expected, "{connector} {tasks:?}");
        };
        assert_eq!(judge(None), Verdict::NotYet);
        check("UNASSIGNED", &[], Verdict::NotYet);
        check("RESTARTING", &["RUNNING"], Verdict::NotYet);
        check("RUNNING", &["UNASSIGNED"], Verdict::NotYet);
        check("RUNNING", &["PAUSED"], Verdict::NotYet);
        check("RUNNING", &["RUNNING", "RUNNING"], Verdict::Runs);
        check("RUNNING", &[], Verdict::RunsWithoutTasks);
        check("RUNNING", &["RUNNING", "FAILED"], Verdict::DoesNot);
        check("UNASSIGNED", &["FAILED"], Verdict::DoesNot);
        check("FAILED", &[], Verdict::DoesNot);
        check("PAUSED", &["PAUSED"], Verdict::DoesNot);
        check("STOPPED", &[], Verdict::DoesNot);
    }

    #[test]
    fn waits_double_and_end() {
        let waits: Vec<_> = (1..6).map_while(|look| Looks::DEFAULT.wait_before(look)).collect();
        assert_eq!(waits, [1, 2, 4].map(Duration::from_secs));
    }

    #[test]
    fn a_trace_is_cut_to_what_was_thrown() {
        let trace = "org.apache.kafka.connect.errors.ConnectException: Couldn't open\n\tat org.a.B.c(B.java:1)\n\t... 8 more\n\
                     Caused by: java.nio.file.NoSuchFileException: /x\n\tat x\n\n";
        let expected = [
            "org.apache.kafka.connect.errors.ConnectException: Couldn't open",
            "Caused by: java.nio.file.NoSuchFileException: /x",
        ];
        assert_eq!(first_lines(trace), expected);
        assert!(first_lines("").is_empty());
        assert_eq!(first_lines(&"ä".repeat(500))[0].chars().count(), 401);
        assert_eq!(first_lines(&"x\n".repeat(50)).len(), 5);
    }

    #[test]
    fn a_validation_names_each_faulty_key_once_with_each_message_once() {
        let answer = r#"{"name": "x", "error_count": 3, "groups": [], "configs": [
            {"definition": {"name": "a"}, "value": {"name": "a", "value": null, "errors": []}},
            {"definition": {"name": "b"}, "value": {"name": "b", "value": "x", "errors": ["one", "one", "two"], "visible": true}}]}"#;
        let validation: Validation = serde_json::from_str(answer).expect("as Kafka Connect answers");
        assert_eq!(validation.error_count, 3);
        assert_eq!(validation.known_keys(), ["a", "b"]);
        let messages = vec!["one".to_owned(), "two".to_owned()];
        assert_eq!(validation.faults(), [Fault { key: "b".to_owned(), messages }]);
    }
}
