//! A program of connectors, for the tests of the command `connect`. What differs from test to test comes from the
//! environment and the settings; `connector_name_prefix` keeps the tests' connectors apart.

use std::process::ExitCode;

use django_kafka_rs::connect::{ConnectorConfig, debezium, env, setting};
use django_kafka_rs::prelude::*;

/// Lines of a file to a topic.
#[connector(config(
    "connector.class" = "org.apache.kafka.connect.file.FileStreamSourceConnector",
    "tasks.max" = 1,
    "file" = env("LINES_FILE"),
    "topic" = setting("lines.topic"),
    "batch.size" = 100,
    "producer.override.client.id" = "lines",
    "key.converter" = "org.apache.kafka.connect.storage.StringConverter",
    "value.converter" = "org.apache.kafka.connect.storage.StringConverter",
))]
struct Lines;

/// Its task cannot open its file.
#[connector(config(
    "connector.class" = "FileStreamSink",
    "tasks.max" = 1,
    "topics" = setting("lines.topic"),
    "file" = "/nowhere/at/all",
    "key.converter" = "org.apache.kafka.connect.storage.StringConverter",
    "value.converter" = "org.apache.kafka.connect.storage.StringConverter",
))]
struct Failing;

/// Kafka Connect refuses it, for two keys; a third one it does not know.
#[connector(config(
    "connector.class" = "org.apache.kafka.connect.file.FileStreamSourceConnector",
    "tasks.max" = env("TASKS"),
    "batch.siz" = 100,
    "topic" = "",
    "database.password" = "never-to-be-seen",
))]
struct Refused;

/// There is no such class.
#[connector(config("connector.class" = "org.apache.kafka.connect.file.FileStreamSource"))]
struct Unknown;

/// What `Lines` was called once.
#[connector(name = "${old_lines}", mark_for_removal)]
struct OldLines;

/// Tables of PostgreSQL.
#[connector(config = crm)]
struct Crm;

fn crm() -> ConnectorConfig {
    let events = debezium::Events::default().rerouted(r".*\.(?:north|south)\.notes", "notes").without_marked();
    ConnectorConfig::of_class(debezium::POSTGRES)
        .with(events)
        .set("transforms.reroute.topic.replacement", setting("lines.topic"))
        .set("topic.prefix", setting("crm.prefix"))
        .set("slot.name", setting("crm.slot"))
        .set("publication.name", setting("crm.slot"))
        .set("publication.autocreate.mode", "filtered")
        .set("plugin.name", "pgoutput")
        .set("table.include.list", "north.notes,south.notes,public.marked")
        .set("database.hostname", env("DB_HOST"))
        .set("database.port", env("DB_PORT"))
        .set("database.user", env("DB_USER"))
        .set("database.password", env("DB_PASSWORD"))
        .set("database.dbname", env("DB_NAME"))
}

fn main() -> ExitCode {
    django_kafka_rs::run()
}
