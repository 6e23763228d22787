//! Temporal: a namespace of a test's own, and what it says of schedules and workflows.

use std::process::Command;

use serde_json::Value;

use super::{address, wait_for};

/// A namespace on a Temporal server, deleted at the end.
pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) address: String,
}

impl Namespace {
    /// On the stack's server.
    pub(crate) fn create(name: &str) -> Self {
        Self::create_at(&address("TEMPORAL_ADDRESS"), name)
    }

    pub(crate) fn create_at(server: &str, name: &str) -> Self {
        // What names of topics may have, and names of namespaces may not.
        let namespace = Self { name: name.replace('_', "-"), address: server.to_owned() };
        namespace.ask(&["operator", "namespace", "create"]).unwrap();
        wait_for("the namespace is there", || namespace.ask(&["operator", "namespace", "describe"]));
        namespace
    }

    /// Asks the server by its command line; gives what it prints.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(address("TEMPORAL_CLI"));
        command.args(arguments).args([
            "--namespace",
            &self.name,
            "--address",
            &self.address,
            "--command-timeout",
            "10s",
        ]);
        let output = command.output().unwrap();
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).unwrap());
        }
        Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    fn json(&self, arguments: &[&str]) -> Result<Value, String> {
        let text = self.ask(&[arguments, &["--output", "json"]].concat())?;
        serde_json::from_str(&text).map_err(|error| format!("{arguments:?}: {error}: {text}"))
    }

    /// The ids of its schedules.
    pub(crate) fn schedules(&self) -> Result<Vec<String>, String> {
        let list = self.json(&["schedule", "list"])?;
        let ids = list.as_array().into_iter().flatten();
        Ok(ids.filter_map(|schedule| Some(schedule["scheduleId"].as_str()?.to_owned())).collect())
    }

    /// How many workflows of this type there have been, with this status.
    pub(crate) fn count(&self, workflow: &str, status: &str) -> Result<u64, String> {
        let query = format!("WorkflowType = '{workflow}' AND ExecutionStatus = '{status}'");
        let count = self.json(&["workflow", "count", "--query", &query])?;
        Ok(count["count"].as_str().and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// The activity that a workflow waits for, as the server says it.
    pub(crate) fn pending_activity(&self, workflow_id: &str) -> Result<Value, String> {
        let described = self.json(&["workflow", "describe", "--workflow-id", workflow_id])?;
        described["pendingActivities"].get(0).cloned().ok_or_else(|| format!("{workflow_id}: none: {described}"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.ask(&["operator", "namespace", "delete", "--yes"]);
    }
}
