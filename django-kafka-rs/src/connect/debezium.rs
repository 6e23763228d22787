//! What the consumers' side needs of Debezium, as keys of its connectors.
//!
//! A derived consumer ([`DbzConsumer`](derive@crate::prelude::DbzConsumer)) reads Debezium's events in each of their
//! forms. [`Events`] gives the keys for the form that costs least: rows alone (not before and after), as JSON without
//! schemas, where a null is a null and a deletion is told by `__deleted`.
//!
//! ```
//! use django_kafka_rs::connect::{ConnectorConfig, debezium};
//!
//! let config = ConnectorConfig::of_class(debezium::POSTGRES)
//!     .set("topic.prefix", "shop")
//!     .set("table.include.list", "north.notes,south.notes")
//!     .with(debezium::Events::default().rerouted(r".*\.notes", "shop.notes").without_marked());
//! # use django_kafka_rs::connect::ConnectorValue;
//! # assert_eq!(config.get("transforms"), Some(&ConnectorValue::Text("skip,reroute,unwrap".into())));
//! ```
//!
//! The tables need a primary key. With `REPLICA IDENTITY DEFAULT` a large value that an update leaves alone does not come
//! along; the consumer then leaves it alone too.

use super::ConnectorConfig;

/// Debezium's source connector for PostgreSQL.
pub const POSTGRES: &str = "io.debezium.connector.postgresql.PostgresConnector";
/// Debezium's source connector for MySQL.
pub const MYSQL: &str = "io.debezium.connector.mysql.MySqlConnector";
/// Debezium's source connector for MariaDB.
pub const MARIADB: &str = "io.debezium.connector.mariadb.MariaDbConnector";
/// Debezium's source connector for SQL Server.
pub const SQL_SERVER: &str = "io.debezium.connector.sqlserver.SqlServerConnector";
/// Debezium's source connector for Oracle.
pub const ORACLE: &str = "io.debezium.connector.oracle.OracleConnector";

/// Turns events into rows: the type of the transform `unwrap`.
pub const UNWRAP: &str = "io.debezium.transforms.ExtractNewRecordState";
/// Puts several tables' events into one topic: the type of the transform `reroute`.
pub const REROUTE: &str = "io.debezium.transforms.ByLogicalTableRouter";
/// Keeps events away from Kafka: the type of the transform `skip`. Debezium has it in an archive of its own
/// (`debezium-scripting`), which has to lie beside the connector's, with Groovy.
pub const FILTER: &str = "io.debezium.transforms.Filter";

/// How Debezium tells of deletions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Deletions {
    /// A row with `__deleted` = `"true"`. The default.
    #[default]
    Rewritten,
    /// The same, and a tombstone after it: for compacted topics, which otherwise keep deleted rows for ever. It deletes
    /// once more, which does no harm.
    RewrittenWithTombstone,
    /// Only a tombstone.
    Tombstone,
}

/// The form of Debezium's events. [`with`](ConnectorConfig::with) takes it.
#[derive(Debug, Clone, Default)]
pub struct Events {
    envelopes: bool,
    deletions: Deletions,
    reroutes: Vec<(String, String)>,
    skips_marked: bool,
    converters: Converters,
}

#[derive(Debug, Clone, Copy, Default)]
enum Converters {
    #[default]
    Json,
    JsonWithSchemas,
    OfWorker,
}

impl Events {
    /// Sends events as Debezium has them, with the row before and after. Default: the row alone.
    #[must_use]
    pub fn envelopes(mut self) -> Self {
        self.envelopes = true;
        self
    }

    /// Sets how deletions are told. It is of no effect on [`envelopes`](Self::envelopes).
    #[must_use]
    pub fn deletions(mut self, deletions: Deletions) -> Self {
        self.deletions = deletions;
        self
    }

    /// Sends the events of all tables whose topics match the (Java) regular expression to one topic, whose name may have
    /// `$1` for a group. The key then says `schema.table`, as `#[reroute("schema.table" => Model)]` wants it: without
    /// the connector's topic prefix, which Debezium would put before it.
    #[must_use]
    pub fn rerouted(mut self, topics: impl Into<String>, topic: impl Into<String>) -> Self {
        self.reroutes.push((topics.into(), topic.into()));
        self
    }

    /// Keeps rows whose `kafka_skip` is true away from Kafka: what a sync wrote, so that it does not come round again.
    /// Tables without that column are not concerned.
    ///
    /// Deletions are kept away where the row was marked before; for that the table needs `REPLICA IDENTITY FULL`, and
    /// deletions must not be [`RewrittenWithTombstone`](Deletions::RewrittenWithTombstone), whose tombstones have no
    /// mark.
    #[must_use]
    pub fn without_marked(mut self) -> Self {
        self.skips_marked = true;
        self
    }

    /// JSON that says its types with each message: many times as large, but nothing has to be told by
    /// `#[sync(as = …)]`. Default: without.
    #[must_use]
    pub fn json_with_schemas(mut self) -> Self {
        self.converters = Converters::JsonWithSchemas;
        self
    }

    /// Leaves the converters to the worker's configuration, or to other keys.
    #[must_use]
    pub fn converters_of_worker(mut self) -> Self {
        self.converters = Converters::OfWorker;
        self
    }
}

impl From<Events> for ConnectorConfig {
    fn from(events: Events) -> Self {
        // The filter and the router read events as they come, so the rows are taken out last.
        let mut config = events.converters.config();
        if events.skips_marked {
            config = config.with(skip());
        }
        for (index, (topics, topic)) in events.reroutes.iter().enumerate() {
            let name = if index == 0 { "reroute".to_owned() } else { format!("reroute{}", index + 1) };
            config = config.with(reroute(&name, topics, topic));
        }
        if events.envelopes { config } else { config.with(unwrap(events.deletions)) }
    }
}

impl Converters {
    fn config(self) -> ConnectorConfig {
        let schemas = match self {
            Self::OfWorker => return ConnectorConfig::default(),
            Self::Json => false,
            Self::JsonWithSchemas => true,
        };
        let json = "org.apache.kafka.connect.json.JsonConverter";
        ConnectorConfig::default()
            .set("key.converter", json)
            .set("key.converter.schemas.enable", schemas)
            .set("value.converter", json)
            .set("value.converter.schemas.enable", schemas)
            // Else a null in a column that has a default arrives as that default.
            .set("value.converter.replace.null.with.default", false)
    }
}

fn unwrap(deletions: Deletions) -> ConnectorConfig {
    let mode = match deletions {
        Deletions::Rewritten => "rewrite",
        Deletions::RewrittenWithTombstone => "rewrite-with-tombstone",
        Deletions::Tombstone => "delete-to-tombstone",
    };
    ConnectorConfig::default()
        .set("transforms", "unwrap")
        .set("transforms.unwrap.type", UNWRAP)
        .set("transforms.unwrap.delete.tombstone.handling.mode", mode)
        .set("transforms.unwrap.replace.null.with.default", false)
}

fn reroute(name: &str, topics: &str, topic: &str) -> ConnectorConfig {
    let key = |end: &str| format!("transforms.{name}.{end}");
    ConnectorConfig::default()
        .set("transforms", name)
        .set(key("type"), REROUTE)
        .set(key("topic.regex"), topics)
        .set(key("topic.replacement"), topic)
        // `prefix.schema.table`, whatever dots the prefix has.
        .set(key("key.field.regex"), r"(?:.*\.)?([^.]+\.[^.]+)")
        .set(key("key.field.replacement"), "$1")
}

fn skip() -> ConnectorConfig {
    ConnectorConfig::default()
        .set("transforms", "skip")
        .set("transforms.skip.type", FILTER)
        .set("transforms.skip.language", "jsr223.groovy")
        .set("transforms.skip.condition", SKIP_CONDITION)
}

/// What is true of events that are sent. Rows of tables without the column have no such field, and asking for its value
/// would be an error.
const SKIP_CONDITION: &str = "value.op == 't' || value.op == 'm' || \
    !((value.op == 'd' ? value.before : value.after)?.with { it.schema().field('kafka_skip') != null && it.kafka_skip })";

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::connect::ConnectorValue;

    fn check(events: Events, expected: &Expect) {
        let config = ConnectorConfig::from(events);
        let lines: Vec<String> = config
            .iter()
            .map(|(key, value)| match value {
                ConnectorValue::Text(text) => format!("{key} = {text}"),
                other => format!("{key} = {other:?}"),
            })
            .collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn rows_alone_as_json() {
        check(
            Events::default(),
            &expect![[r#"
            key.converter = org.apache.kafka.connect.json.JsonConverter
            key.converter.schemas.enable = false
            transforms = unwrap
            transforms.unwrap.delete.tombstone.handling.mode = rewrite
            transforms.unwrap.replace.null.with.default = false
            transforms.unwrap.type = io.debezium.transforms.ExtractNewRecordState
            value.converter = org.apache.kafka.connect.json.JsonConverter
            value.converter.replace.null.with.default = false
            value.converter.schemas.enable = false"#]],
        );
    }

    #[test]
    fn filters_and_routes_before_rows_are_taken_out() {
        check(
            Events::default()
                .deletions(Deletions::Tombstone)
                .rerouted(r".*\.notes", "shop.notes")
                .rerouted(r".*\.([ab])", "shop.$1")
                .without_marked()
                .converters_of_worker(),
            &expect![[r#"
                transforms = skip,reroute,reroute2,unwrap
                transforms.reroute.key.field.regex = (?:.*\.)?([^.]+\.[^.]+)
                transforms.reroute.key.field.replacement = $1
                transforms.reroute.topic.regex = .*\.notes
                transforms.reroute.topic.replacement = shop.notes
                transforms.reroute.type = io.debezium.transforms.ByLogicalTableRouter
                transforms.reroute2.key.field.regex = (?:.*\.)?([^.]+\.[^.]+)
                transforms.reroute2.key.field.replacement = $1
                transforms.reroute2.topic.regex = .*\.([ab])
                transforms.reroute2.topic.replacement = shop.$1
                transforms.reroute2.type = io.debezium.transforms.ByLogicalTableRouter
                transforms.skip.condition = value.op == 't' || value.op == 'm' || !((value.op == 'd' ? value.before : value.after)?.with { it.schema().field('kafka_skip') != null && it.kafka_skip })
                transforms.skip.language = jsr223.groovy
                transforms.skip.type = io.debezium.transforms.Filter
                transforms.unwrap.delete.tombstone.handling.mode = delete-to-tombstone
                transforms.unwrap.replace.null.with.default = false
                transforms.unwrap.type = io.debezium.transforms.ExtractNewRecordState"#]],
        );
    }

    #[test]
    fn envelopes_as_json_with_schemas() {
        check(
            Events::default().envelopes().json_with_schemas(),
            &expect![[r#"
            key.converter = org.apache.kafka.connect.json.JsonConverter
            key.converter.schemas.enable = true
            value.converter = org.apache.kafka.connect.json.JsonConverter
            value.converter.replace.null.with.default = false
            value.converter.schemas.enable = true"#]],
        );
    }
}
