//! What `topics`, `migrate` and a command line without a command show.

use serde::Serialize;

use super::table::align;

/// A consumer as declared.
#[derive(Debug, Clone)]
pub(crate) struct RegisteredConsumer {
    /// The type's name, which `consume` takes.
    pub(crate) name: String,
    /// The group as written.
    pub(crate) group: String,
    /// Its topics' names as written.
    pub(crate) topics: Vec<String>,
    /// `file:line`.
    pub(crate) declared_at: String,
}

/// A connector as declared.
#[derive(Debug, Clone)]
pub(crate) struct RegisteredConnector {
    /// The type's name, which `connect` takes.
    pub(crate) name: String,
    /// `file:line`.
    pub(crate) declared_at: String,
}

/// A topic of the program.
#[derive(Debug, Clone)]
pub(crate) struct TopicRow {
    /// The name or the pattern, with its variables filled in.
    pub(crate) name: String,
    pub(crate) kind: TopicKind,
    /// The consumer that reads it, or whose dead letters it holds. `None`: it is only produced to.
    pub(crate) consumer: Option<String>,
    pub(crate) existence: Existence,
    /// `file:line` of the declaration.
    pub(crate) declared_at: String,
}

/// What a topic is to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TopicKind {
    /// A consumer reads it.
    Consumed,
    /// The program only produces to it.
    Produced,
    /// A consumer reads whatever matches it.
    Pattern,
    /// Messages that are tried again.
    Retry,
    /// Messages that could not be handled.
    DeadLetter,
}

/// What the broker has of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Existence {
    /// With so many partitions.
    Exists { partitions: usize },
    /// It has no such topic.
    Missing,
    /// Topics that match a pattern.
    Matches(Vec<String>),
}

impl TopicKind {
    fn shown(self) -> &'static str {
        match self {
            Self::Consumed => "consumed",
            Self::Produced => "produced",
            Self::Pattern => "pattern",
            Self::Retry => "retries",
            Self::DeadLetter => "dead letters",
        }
    }
}

/// The consumers of the program, under its help.
pub(crate) fn registered(consumers: &[RegisteredConsumer], program: &str) -> String {
    if consumers.is_empty() {
        return "No consumer is registered. Declare one with `#[consumer(group = \"…\", topics(…))]`; if it is in \
                another crate, name that crate once, or the linker leaves it out: `use my_models as _;`\n"
            .to_owned();
    }
    let rows: Vec<[String; 4]> = consumers
        .iter()
        .map(|c| [format!("  {}", c.name), format!("group {}", c.group), c.topics.join(", "), c.declared_at.clone()])
        .collect();
    format!("Registered consumers:\n{}\nRun them with `{program} consume`.\n", align(&rows))
}

/// The connectors of the program, under that.
pub(crate) fn registered_connectors(connectors: &[RegisteredConnector], program: &str) -> String {
    if connectors.is_empty() {
        return String::new();
    }
    let rows: Vec<[String; 2]> =
        connectors.iter().map(|connector| [format!("  {}", connector.name), connector.declared_at.clone()]).collect();
    let how = if cfg!(feature = "connect") {
        format!("Publish them with `{program} connect --publish`.")
    } else {
        "This program is built without the feature `connect` of django-kafka-rs, which publishes them.".to_owned()
    };
    format!("\nRegistered connectors:\n{}\n{how}\n", align(&rows))
}

/// The table of `topics`.
pub(super) fn topics(rows: &[TopicRow]) -> String {
    if rows.is_empty() {
        return "no topic is declared in this program\n".to_owned();
    }
    let mut lines = vec![["TOPIC", "KIND", "CONSUMER", "PARTITIONS", "DECLARED"].map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        [
            row.name.clone(),
            row.kind.shown().to_owned(),
            row.consumer.clone().unwrap_or_else(|| "-".to_owned()),
            partitions(row),
            row.declared_at.clone(),
        ]
    }));
    align(&lines)
}

fn partitions(row: &TopicRow) -> String {
    match (&row.existence, row.kind) {
        (Existence::Exists { partitions }, _) => partitions.to_string(),
        // The first dead letter creates it, or finds out that the broker does not allow that.
        (Existence::Missing, TopicKind::DeadLetter | TopicKind::Retry) => "not yet there".to_owned(),
        (Existence::Missing, _) => "missing".to_owned(),
        (Existence::Matches(names), _) if names.is_empty() => "matches none".to_owned(),
        (Existence::Matches(names), _) => format!("matches {}", names.join(", ")),
    }
}

/// The same for programs.
pub(super) fn topics_json(rows: &[TopicRow]) -> String {
    #[derive(Serialize)]
    struct Row<'a> {
        name: &'a str,
        kind: TopicKind,
        consumer: Option<&'a str>,
        exists: bool,
        partitions: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        matches: Option<&'a [String]>,
        declared_at: &'a str,
    }
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|row| {
            let (exists, partitions, matches) = match &row.existence {
                Existence::Exists { partitions } => (true, Some(*partitions), None),
                Existence::Missing => (false, None, None),
                Existence::Matches(names) => (!names.is_empty(), None, Some(names.as_slice())),
            };
            Row {
                name: &row.name,
                kind: row.kind,
                consumer: row.consumer.as_deref(),
                exists,
                partitions,
                matches,
                declared_at: &row.declared_at,
            }
        })
        .collect();
    serde_json::to_string_pretty(&rows).expect("rows of text and numbers have a form in JSON")
}

/// What `migrate` did.
pub(super) fn migrated(names: &[String]) -> String {
    match names {
        [] => "the database is up to date\n".to_owned(),
        [one] => format!("ran 1 migration: {one}\n"),
        many => format!("ran {} migrations:\n  {}\n", many.len(), many.join("\n  ")),
    }
}
