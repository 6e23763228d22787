//! Debezium's JDBC sink, in a Kafka Connect worker of its own (standalone) that serves all rounds of a case, so that all
//! but the first are warm.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};

use super::installed;
use crate::broker::Committed;
use crate::contender::{Place, Rounds};
use crate::process::{Measured, Standing, wait};
use crate::registry::Http;
use crate::runs::Case;
use crate::{Failure, address};

/// Of the workers' own REST interfaces: without and with `unnest`.
const PORTS: [u16; 2] = [28093, 28094];
/// How many looks at what is committed go with one at the tasks.
const LOOKS_PER_STATUS: u32 = 50;
/// Rows in a transaction.
const BATCH: u32 = 5_000;

pub(crate) struct JdbcSink {
    worker: Standing,
    http: Http,
    folder: PathBuf,
    case: Case,
    unnest: bool,
}

impl JdbcSink {
    /// `unnest`: rows go as one array for each column, into the table of numbers.
    pub(crate) fn start(place: &Place<'_>, case: &Case, unnest: bool) -> Result<Self, Failure> {
        let (libs, plugins) = (address("KAFKA_LIBS")?, installed("BENCH_CONNECT_PLUGINS")?);
        let port = PORTS[usize::from(unnest)];
        let folder = std::env::temp_dir().join(format!("{}_{port}", place.topic));
        std::fs::create_dir_all(&folder)?;
        let properties = folder.join("worker.properties");
        let offsets = folder.join("offsets");
        std::fs::write(
            &properties,
            format!(
                "bootstrap.servers={}\nlisteners=http://127.0.0.1:{port}\nplugin.path={plugins}\n\
                 plugin.discovery=service_load\noffset.storage.file.filename={}\noffset.flush.interval.ms=100\n\
                 key.converter=org.apache.kafka.connect.json.JsonConverter\n\
                 value.converter=org.apache.kafka.connect.json.JsonConverter\n",
                place.servers,
                offsets.display()
            ),
        )?;
        let mut command = Command::new("java");
        command.arg("-Xmx1g").arg(format!("-Dlog4j2.configurationFile={libs}/log4j2.properties"));
        command.args(["-cp", &format!("{libs}/*"), "org.apache.kafka.connect.cli.ConnectStandalone"]).arg(&properties);
        let sink = Self { worker: Standing::start(command)?, http: Http::new()?, folder, case: *case, unnest };
        wait("the Connect worker answers", || Ok(sink.ask(Method::GET, "connectors", None).is_ok()))?;
        Ok(sink)
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.http.ask(method, &format!("http://127.0.0.1:{}/{path}", PORTS[usize::from(self.unnest)]), body)
    }

    fn config(&self, place: &Place<'_>) -> Result<Value, Failure> {
        let (user, host_and_name) = place
            .url
            .strip_prefix("postgres://")
            .and_then(|url| url.split_once('@'))
            .ok_or("DATABASE_URL has no user")?;
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        // One statement of many rows must not have a key twice, which only the reduction sees to.
        let rewrites = self.case.reduce;
        let mut config = json!({
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
            "topics": place.topic,
            "tasks.max": self.case.partitions.to_string(),
            "connection.url": format!("jdbc:postgresql://{host_and_name}?reWriteBatchedInserts={rewrites}"),
            "connection.username": user,
            "connection.password": password,
            "connection.pool.min_size": "1",
            "insert.mode": "upsert",
            "delete.enabled": "true",
            "primary.key.mode": "record_key",
            "primary.key.fields": "id",
            "collection.name.format": if self.unnest { "public.raw_accounts" } else { "public.accounts" },
            "schema.evolution": "none",
            "batch.size": BATCH.to_string(),
            "use.reduction.buffer": self.case.reduce.to_string(),
            "dialect.postgres.unnest.insert.enabled": self.unnest.to_string(),
            // As many as a batch takes.
            "consumer.override.max.poll.records": BATCH.to_string(),
            "consumer.override.max.partition.fetch.bytes": "4194304",
            "consumer.override.auto.offset.reset": "earliest",
        });
        for part in ["key", "value"] {
            config[format!("{part}.converter")] = json!("io.apicurio.registry.utils.converter.AvroConverter");
            let options = [
                ("url", address("APICURIO_URL")?),
                ("find-latest", "false".to_owned()),
                ("as-confluent", "true".to_owned()),
                ("use-id", "contentId".to_owned()),
                ("headers.enabled", "false".to_owned()),
            ];
            for (option, value) in options {
                config[format!("{part}.converter.apicurio.registry.{option}")] = json!(value);
            }
        }
        Ok(config)
    }

    /// When all tasks run; an error as soon as one has failed.
    fn run_tasks(&self, name: &str) -> Result<Instant, Failure> {
        wait("the sink's tasks run", || {
            // Not found until the worker has heard of it.
            let Ok(status) = self.ask(Method::GET, &format!("connectors/{name}/status"), None) else {
                return Ok(false);
            };
            let tasks = status["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(failed) = tasks.iter().find(|task| task["state"] == "FAILED") {
                let trace = failed["trace"].as_str().unwrap_or_default();
                let causes: Vec<&str> = trace.lines().filter(|line| line.starts_with("Caused by")).collect();
                return Err(format!("a task of the sink has failed:\n{}", causes.join("\n")).into());
            }
            Ok(tasks.len() == self.case.partitions as usize && tasks.iter().all(|task| task["state"] == "RUNNING"))
        })
    }
}

impl Rounds for JdbcSink {
    /// From the moment when all tasks run to the one when all is committed, which it does every 100 ms.
    fn run(&mut self, place: &Place<'_>, messages: u64) -> Result<Measured, Failure> {
        // Its group is named after it.
        let name = place.group;
        let before = self.worker.usage();
        self.ask(Method::PUT, &format!("connectors/{name}/config"), Some(&self.config(place)?))?;
        let began = self.run_tasks(name)?;
        let group = self.group(name);
        let committed = Committed::of(place.servers, place.topic, &group, self.case.partitions)?;
        let mut looks = 0;
        let done = wait("the sink has committed everything", || {
            looks += 1;
            // A task that has failed commits no more.
            if looks % LOOKS_PER_STATUS == 0 {
                self.run_tasks(name)?;
            }
            Ok(committed.messages()? == messages)
        })?;
        let measured = self.worker.usage().measured(before, messages, done - began);
        self.ask(Method::DELETE, &format!("connectors/{name}"), None)?;
        Ok(measured)
    }

    fn group(&self, told: &str) -> String {
        format!("connect-{told}")
    }
}

impl Drop for JdbcSink {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("bench: {} is left: {error}", self.folder.display());
        }
    }
}
