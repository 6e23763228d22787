//! Kafka Connect's REST interface, asked by `curl`, and connectors that remove themselves.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use super::database::Postgres;
use super::{address, wait_for};

/// The forms in which Debezium's events come as JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// `ExtractNewRecordState`: the row alone, not before and after.
    pub(crate) is_flat: bool,
    /// `{"schema": …, "payload": …}`.
    pub(crate) has_schema: bool,
}

impl Shape {
    /// The properties that give this shape.
    pub(crate) fn config(self) -> Vec<(&'static str, Value)> {
        let mut config = Vec::new();
        for part in ["key.converter", "value.converter"] {
            let enable =
                if part == "key.converter" { "key.converter.schemas.enable" } else { "value.converter.schemas.enable" };
            config.push((part, json!("org.apache.kafka.connect.json.JsonConverter")));
            config.push((enable, json!(self.has_schema)));
        }
        if self.is_flat {
            config.extend(UNWRAP.map(|(key, value)| (key, json!(value))));
            config.push(("transforms", json!("unwrap")));
        }
        config
    }
}

/// Nulls stay nulls, also where the column has a default.
const UNWRAP: [(&str, &str); 3] = [
    ("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState"),
    ("transforms.unwrap.delete.tombstone.handling.mode", "rewrite"),
    ("transforms.unwrap.replace.null.with.default", "false"),
];

/// A source connector on one database; its name is its topic prefix, its slot and its publication.
pub(crate) struct Connector {
    name: String,
}

impl Connector {
    /// Starts a connector for these tables (`schema.table`) and waits until it runs.
    pub(crate) fn start(name: &str, source: &Postgres, tables: &[&str], more: &[(&str, Value)]) -> Self {
        let mut config = Map::new();
        for (key, value) in [
            ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
            ("topic.prefix", name),
            ("slot.name", name),
            ("publication.name", name),
            ("plugin.name", "pgoutput"),
            ("publication.autocreate.mode", "filtered"),
            ("value.converter.replace.null.with.default", "false"),
        ] {
            config.insert(key.to_owned(), json!(value));
        }
        config.insert("table.include.list".to_owned(), json!(tables.join(",")));
        config.extend(source.parts().map(|(key, value)| (key.to_owned(), json!(value))));
        config.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let connector = Self { name: name.to_owned() };
        connector.put(&Value::Object(config));
        connector
    }

    fn put(&self, config: &Value) {
        wait_for("the connector is taken", || match ask("PUT", &format!("{}/config", self.path()), Some(config)) {
            (200 | 201, _) => Ok(()),
            // A rebalance is in progress.
            (409, answer) => Err(answer.to_string()),
            (status, answer) => panic!("the connector is refused with {status}: {answer}"),
        });
        wait_for("the connector runs", || {
            let (_, status) = ask("GET", &format!("{}/status", self.path()), None);
            let tasks = status["tasks"].as_array().cloned().unwrap_or_default();
            if let Some(failed) = tasks.iter().find(|task| task["state"] == "FAILED") {
                let trace = failed["trace"].as_str().unwrap_or_default();
                assert!(is_passing(trace), "the connector's task failed: {trace}");
                return Err(self.restart());
            }
            let runs = status["connector"]["state"] == "RUNNING" && tasks.len() == 1 && tasks[0]["state"] == "RUNNING";
            if runs { Ok(()) } else { Err(status.to_string()) }
        });
    }

    /// Starts its failed task again; gives what came of that.
    fn restart(&self) -> String {
        let path = format!("{}/restart?includeTasks=true&onlyFailed=true", self.path());
        match ask("POST", &path, None) {
            // 409: a rebalance is in progress.
            (status @ (202 | 204 | 409), _) => {
                let told = format!("{}: its slot's snapshot was too large; restarted: {status}", self.name);
                eprintln!("{told}");
                told
            }
            (status, answer) => panic!("the restart is refused with {status}: {answer}"),
        }
    }

    fn path(&self) -> String {
        format!("/connectors/{}", self.name)
    }
}

/// Whether a failure of a task is over when the task is started again: PostgreSQL cannot make a slot whose first
/// snapshot lists more running (sub)transactions than there may be sessions, and each savepoint is one. So a service
/// that writes with savepoints, in any database of the server, keeps the slots of others from being made for a moment.
/// Nothing is left of such a slot.
pub(crate) fn is_passing(failure: &str) -> bool {
    failure.lines().any(|line| line.ends_with("PSQLException: ERROR: initial slot snapshot too large"))
}

impl Drop for Connector {
    fn drop(&mut self) {
        remove(&self.path());
    }
}

/// Removes a connector, if there is one, with its offsets, which outlive it otherwise: they can be deleted only where it
/// is stopped.
fn remove(path: &str) {
    if ask("GET", &format!("{path}/config"), None).0 == 404 {
        return;
    }
    ask("PUT", &format!("{path}/stop"), None);
    wait_for("the connector has stopped", || {
        let (_, status) = ask("GET", &format!("{path}/status"), None);
        let is_idle = status["tasks"].as_array().is_some_and(Vec::is_empty);
        if status["connector"]["state"] == "STOPPED" && is_idle { Ok(()) } else { Err(status.to_string()) }
    });
    ask("DELETE", &format!("{path}/offsets"), None);
    ask("DELETE", path, None);
}

/// Connectors that a test's own program publishes under a prefix; removed at the end.
pub(crate) struct Published {
    pub(crate) prefix: String,
}

impl Published {
    /// The configuration of a connector; `None`: there is none.
    pub(crate) fn config(&self, name: &str) -> Option<Value> {
        wait_for("the workers answer", || {
            match ask("GET", &format!("/connectors/{}.{name}/config", self.prefix), None) {
                (200, config) => Ok(Some(config)),
                (404, _) => Ok(None),
                // A rebalance.
                (status, answer) => Err(format!("{status}: {answer}")),
            }
        })
    }

    /// Creates a connector without the program.
    pub(crate) fn put(&self, name: &str, config: &Value) {
        wait_for("the connector is taken", || {
            match ask("PUT", &format!("/connectors/{}.{name}/config", self.prefix), Some(config)) {
                (200 | 201, _) => Ok(()),
                (status, answer) => Err(format!("{status}: {answer}")),
            }
        });
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        let (_, all) = ask("GET", "/connectors", None);
        let names = all.as_array().cloned().unwrap_or_default();
        for name in names.iter().filter_map(Value::as_str).filter(|name| name.starts_with(&self.prefix)) {
            remove(&format!("/connectors/{name}"));
        }
    }
}

/// Status and answer of a request.
fn ask(method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut command = Command::new("curl");
    command.args(["-sS", "-m", "60", "-X", method, "-H", "Content-Type: application/json", "-w", "\n%{http_code}"]);
    if body.is_some() {
        command.args(["--data-binary", "@-"]);
    }
    command.arg(format!("{}{path}", address("CONNECT_URL")));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let text = body.map(Value::to_string).unwrap_or_default();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "Kafka Connect: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (answer, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(answer).unwrap_or(Value::Null))
}
