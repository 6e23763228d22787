//! The whole tree, key by key.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::{Node, Raw, Table};
use super::error::SettingsMistake;
use super::section::{Findings, Section};
use super::values::{Expected, bytes, duration, flag, integer, one_of, positive_duration, scalar, show_bytes, text};
use super::{
    BatchLimits, DatabaseSettings, EmbeddedSettings, RELATION_RESOLVER_LEASE, RelationResolverDaemon, Settings,
    Synchronous, TopicSettings, connect, metrics, properties, read_retry, schema_registry, temporal,
};
use crate::topic::names;

/// Keys that belong to a feature, with the feature and whether this program was built with it.
const OF_FEATURES: &[(&str, &str, bool)] = &[
    ("connect_host", "connect", cfg!(feature = "connect")),
    ("connect_auth", "connect", cfg!(feature = "connect")),
    ("connect_retry", "connect", cfg!(feature = "connect")),
    ("connect_requests_timeout", "connect", cfg!(feature = "connect")),
    ("connector_name_prefix", "connect", cfg!(feature = "connect")),
    ("metrics", "metrics", cfg!(feature = "metrics")),
    ("temporal", "temporal", cfg!(feature = "temporal")),
    ("temporal_task_queue", "temporal", cfg!(feature = "temporal")),
];

/// Settings of the Python library that name code. Code is given in code.
const IN_CODE: &[&str] = &["error_handler", "relation_resolver", "relation_resolver_processor"];

const DAEMONS: &[(&str, RelationResolverDaemon)] = &[
    (RelationResolverDaemon::Local.name(), RelationResolverDaemon::Local),
    (RelationResolverDaemon::Temporal.name(), RelationResolverDaemon::Temporal),
];

const SYNCHRONOUS: &[(&str, Synchronous)] =
    &[(Synchronous::Normal.name(), Synchronous::Normal), (Synchronous::Full.name(), Synchronous::Full)];

/// Reads all settings; what is wrong is in the findings, and its place has the default.
pub(super) fn settings(table: Table, findings: &mut Findings) -> Settings {
    let mut settings = Settings::default();
    let table = without_foreign(table, findings);
    let mut top = Section::top(table);

    top.set("client_id", &mut settings.client_id, findings, text);
    for (key, audience) in properties::SECTIONS {
        if let Some(section) = top.section(key, findings) {
            let read = properties::read(key, section.into_rest(), *audience, findings);
            match *key {
                "global_config" => settings.global_config = read,
                "producer_config" => settings.producer_config = read,
                "consumer_config" => settings.consumer_config = read,
                _ => settings.retry_consumer_config = read,
            }
        }
    }
    if let Some(section) = top.section("retry_settings", findings) {
        settings.retry_settings = read_retry::retry_settings(section, findings);
    }
    top.set("retry_topic_suffix", &mut settings.retry_topic_suffix, findings, text);
    top.set("dead_letter_topic_suffix", &mut settings.dead_letter_topic_suffix, findings, text);
    top.set("polling_frequency", &mut settings.polling_frequency, findings, positive_duration);
    top.set("relation_resolver_daemon", &mut settings.relation_resolver_daemon, findings, |node| one_of(node, DAEMONS));
    let interval = &mut settings.relation_resolver_daemon_interval;
    top.set("relation_resolver_daemon_interval", interval, findings, positive_duration);
    top.set("relation_resolver_lease", &mut settings.relation_resolver_lease, findings, lease);
    top.set("temporal_task_queue", &mut settings.temporal_task_queue, findings, text);
    if let Some(section) = top.section("temporal", findings) {
        temporal::read(section, &mut settings.temporal, findings);
    }
    connect::read(&mut top, &mut settings, findings);
    settings.database_url = top.read("database_url", findings, text);
    if let Some(section) = top.section("database", findings) {
        database(section, &mut settings.database, findings);
    }
    if let Some(section) = top.section("batch", findings) {
        batch(section, &mut settings.batch, findings);
    }
    if let Some(mut section) = top.section("key_offset_tracker", findings) {
        settings.key_offset_tracker.group_id = section.read("group_id", findings, text);
        section.finish(findings);
    }
    if let Some(mut section) = top.section("reproducer_config", findings) {
        settings.reproducer_config.namespace = section.read("namespace", findings, text);
        section.finish(findings);
        if settings.reproducer_config.namespace.as_ref().is_some_and(|namespace| namespace.ends_with('.')) {
            let message = "ends with a dot, and a dot follows it in the topic's name anyway: leave it out";
            findings.mistake_at("reproducer_config.namespace", message);
        }
    }
    if let Some(section) = top.section("topic_variables", findings) {
        settings.topic_variables = topic_variables(section, findings);
    }
    if let Some(section) = top.section("topics", findings) {
        topics(section, &mut settings.topics, findings);
    }
    if let Some(section) = top.section("schema_registry", findings) {
        schema_registry::read(section.joined(findings), &mut settings.schema_registry, findings);
    }
    if let Some(section) = top.section("metrics", findings) {
        metrics::read(section, &mut settings.metrics, findings);
    }
    top.set("shutdown_timeout", &mut settings.shutdown_timeout, findings, duration);
    if let Some(section) = top.section("embedded", findings) {
        embedded(section, &mut settings.embedded, findings);
    }
    top.finish(findings);
    check_together(&settings, findings);
    settings
}

/// Without what this program cannot do, which is said.
fn without_foreign(mut table: Table, findings: &mut Findings) -> Table {
    for (key, feature, _) in OF_FEATURES.iter().filter(|(_, _, built)| !built) {
        if let Some(node) = table.remove(*key) {
            let message = format!(
                "this program is built without the feature `{feature}` of django-kafka-rs: add it in Cargo.toml, or take \
                 this out"
            );
            findings.mistake(&node.source, key, message);
        }
    }
    for key in IN_CODE {
        if let Some(node) = table.remove(*key) {
            let message = "names code, which a settings file cannot: give it to `App::builder()`; take it out here";
            findings.mistake(&node.source, key, message);
        }
    }
    table
}

fn database(mut section: Section, database: &mut DatabaseSettings, findings: &mut Findings) {
    section.set("pool_size", &mut database.pool_size, findings, |node| integer(node, 1..=1000));
    section.set("busy_timeout", &mut database.busy_timeout, findings, duration);
    database.synchronous = section.read("synchronous", findings, |node| one_of(node, SYNCHRONOUS));
    section.finish(findings);
}

fn batch(mut section: Section, batch: &mut BatchLimits, findings: &mut Findings) {
    section.set("max", &mut batch.max, findings, |node| integer(node, 1..=1_000_000));
    section.set("bytes", &mut batch.bytes, findings, bytes);
    section.set("linger", &mut batch.linger, findings, duration);
    section.set("workers", &mut batch.workers, findings, |node| integer(node, 1..=1000));
    let buffer_messages = section.read("buffer_messages", findings, |node| integer(node, 1..=100_000_000));
    let buffer_bytes = section.read("buffer_bytes", findings, bytes);
    section.finish(findings);

    // A buffer that is not set grows with the batch; one that is set must hold it.
    batch.buffer_messages = buffer_messages.unwrap_or_else(|| batch.buffer_messages.max(batch.max.saturating_mul(2)));
    batch.buffer_bytes = buffer_bytes.unwrap_or_else(|| batch.buffer_bytes.max(batch.bytes));
    if batch.buffer_messages < batch.max {
        let (buffer, max) = (batch.buffer_messages, batch.max);
        findings.mistake_at(
            "batch.buffer_messages",
            format!("{buffer} messages cannot hold a batch of {max} (`batch.max`): raise it, or lower `batch.max`"),
        );
    }
    if batch.buffer_bytes < batch.bytes {
        let (buffer, bytes) = (show_bytes(batch.buffer_bytes), show_bytes(batch.bytes));
        findings.mistake_at(
            "batch.buffer_bytes",
            format!("{buffer} cannot hold a batch of {bytes} (`batch.bytes`): raise it, or lower `batch.bytes`"),
        );
    }
}

/// The user's own names, each with text that may stand in a topic's name.
fn topic_variables(section: Section, findings: &mut Findings) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (name, node) in section.into_rest() {
        let key = format!("topic_variables.{name}");
        findings.sources.insert(key.clone(), node.source.clone());
        match scalar(&node) {
            Ok(value) => {
                if let (false, Err(why)) = (value.is_empty(), names::validate_group(&value)) {
                    findings.mistake(&node.source, &key, why.to_string());
                }
                variables.insert(name, value);
            }
            Err(expected) => {
                let hint = if matches!(node.raw, Raw::Table(_)) { "; variables have no levels" } else { "" };
                findings.mistake(
                    &node.source,
                    &key,
                    format!("expected {expected}, found {}{hint}", node.raw.found(false)),
                );
            }
        }
    }
    variables
}

fn topics(mut section: Section, topics: &mut TopicSettings, findings: &mut Findings) {
    topics.partitions = section.read("partitions", findings, |node| integer(node, 1..=100_000));
    topics.replication = section.read("replication", findings, |node| integer(node, 1..=1000));
    topics.retention = section.read("retention", findings, positive_duration);
    section.finish(findings);
}

/// A duration that a claim can be renewed within.
fn lease(node: &Node) -> Result<Duration, Expected> {
    duration(node)
        .ok()
        .filter(|lease| RELATION_RESOLVER_LEASE.contains(lease))
        .ok_or_else(|| "a time of at least 1 second: seconds, or text like \"30s\" or \"2m\"".to_owned())
}

fn embedded(mut section: Section, embedded: &mut EmbeddedSettings, findings: &mut Findings) {
    section.set("enabled", &mut embedded.enabled, findings, flag);
    section.set("partitions", &mut embedded.partitions, findings, |node| integer(node, 1..=1000));
    section.finish(findings);
}

/// What only several settings together can show.
fn check_together(settings: &Settings, findings: &mut Findings) {
    if let Err(message) = settings.relation_resolver_daemon.is_built() {
        findings.mistake_at("relation_resolver_daemon", message);
    }
    if let Err((key, message)) = settings.suffixes().validate() {
        let key = if findings.sources.contains_key(key) { key } else { "retry_topic_suffix" };
        findings.mistake_at(key, message);
    }
    let (workers, pool) = (settings.batch.workers, settings.database.pool_size);
    if workers > pool {
        let key = if findings.sources.contains_key("batch.workers") { "batch.workers" } else { "database.pool_size" };
        findings.mistake_at(
            key,
            format!(
                "{workers} transactions at the same time (`batch.workers`) need as many connections, and \
                 `database.pool_size` is {pool}: lower the one or raise the other"
            ),
        );
    }
}

/// Findings in the order of the file: by source, then as they were met.
pub(super) fn in_order(mut mistakes: Vec<SettingsMistake>) -> Vec<SettingsMistake> {
    use super::error::Source;
    mistakes.sort_by_key(|mistake| match mistake.source() {
        Source::File { line, .. } => (0, *line),
        Source::Environment(_) => (1, 0),
        Source::Default | Source::Program(_) => (2, 0),
    });
    mistakes
}
