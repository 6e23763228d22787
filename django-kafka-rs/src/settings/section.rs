//! Reading the tree with types: what is missing keeps its default, what is wrong or unknown becomes a mistake.

use std::collections::BTreeMap;

use super::document::{Node, Raw, Table};
use super::error::{SettingsMistake, Source};
use super::secret::is_secret;
use super::values::Expected;
use crate::nearest::nearest;

/// The keys at the top, also those of features that this program may be built without.
pub(super) const SECTIONS: &[&str] = &[
    "client_id",
    "global_config",
    "producer_config",
    "consumer_config",
    "retry_consumer_config",
    "retry_settings",
    "retry_topic_suffix",
    "dead_letter_topic_suffix",
    "polling_frequency",
    "relation_resolver_daemon",
    "relation_resolver_daemon_interval",
    "relation_resolver_lease",
    "temporal_task_queue",
    "temporal",
    "connect_host",
    "connect_auth",
    "connect_retry",
    "connect_requests_timeout",
    "connector_name_prefix",
    "database_url",
    "database",
    "batch",
    "key_offset_tracker",
    "reproducer_config",
    "topic_variables",
    "topics",
    "schema_registry",
    "metrics",
    "shutdown_timeout",
    "embedded",
];

/// What reading gathers.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) mistakes: Vec<SettingsMistake>,
    /// Where each key that was set comes from.
    pub(super) sources: BTreeMap<String, Source>,
    /// Values under keys that are not ours but that declarations read with `setting("…")`.
    pub(super) referenced: BTreeMap<String, (String, Source)>,
    /// The paths that declarations read with `setting("…")`.
    pub(super) wanted: Vec<String>,
}

impl Findings {
    pub(super) fn mistake(&mut self, source: &Source, key: &str, message: impl Into<String>) {
        self.mistakes.push(SettingsMistake::new(source, key, message));
    }

    /// A mistake about a key that was read; its place is where the key was set.
    pub(super) fn mistake_at(&mut self, key: &str, message: impl Into<String>) {
        let source = self.sources.get(key).cloned().unwrap_or(Source::Default);
        self.mistakes.push(SettingsMistake::new(&source, key, message));
    }
}

/// One table of settings. Each key that is asked for is known; the rest is reported by [`finish`](Self::finish).
#[derive(Debug)]
pub(super) struct Section {
    /// With a dot at the end; empty at the top.
    prefix: String,
    pub(super) source: Source,
    nodes: Table,
    known: Vec<&'static str>,
}

impl Section {
    pub(super) fn top(nodes: Table) -> Self {
        Self { prefix: String::new(), source: Source::Default, nodes, known: Vec::new() }
    }

    /// The table of this key, which stands at the top.
    pub(super) fn of(key: &str, source: Source, nodes: Table) -> Self {
        Self { prefix: format!("{key}."), source, nodes, known: Vec::new() }
    }

    /// The key with all its levels.
    pub(super) fn path(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Takes a key out, whatever its value is.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        self.nodes.remove(key)
    }

    /// Takes a key out without counting it as known: no message offers it.
    pub(super) fn take_unlisted(&mut self, key: &str) -> Option<Node> {
        self.nodes.remove(key)
    }

    /// Whether the key is set.
    pub(super) fn has(&self, key: &str) -> bool {
        self.nodes.contains_key(key)
    }

    /// Reads a key; `None` where it is not set, or wrong.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
        parse: impl FnOnce(&Node) -> Result<T, Expected>,
    ) -> Option<T> {
        let node = self.take(key)?;
        let path = self.path(key);
        findings.sources.insert(path.clone(), node.source.clone());
        match parse(&node) {
            Ok(value) => Some(value),
            Err(expected) => {
                let found = node.raw.found(is_secret(&path));
                findings.mistake(&node.source, &path, format!("expected {expected}, found {found}"));
                None
            }
        }
    }

    /// Reads a key into a place that has its default already.
    pub(super) fn set<T>(
        &mut self,
        key: &'static str,
        place: &mut T,
        findings: &mut Findings,
        parse: impl FnOnce(&Node) -> Result<T, Expected>,
    ) {
        if let Some(value) = self.read(key, findings, parse) {
            *place = value;
        }
    }

    /// A table inside this one; `None` where it is not set.
    pub(super) fn section(&mut self, key: &'static str, findings: &mut Findings) -> Option<Self> {
        let node = self.take(key)?;
        let path = self.path(key);
        match node.raw {
            Raw::Table(nodes) => {
                Some(Self { prefix: format!("{path}."), source: node.source, nodes, known: Vec::new() })
            }
            other => {
                let found = other.found(is_secret(&path));
                findings.mistake(&node.source, &path, format!("expected a table `[{path}]`, found {found}"));
                None
            }
        }
    }

    /// The same with the levels of its keys joined by `_`: `basic.auth` in TOML is a table in a table.
    pub(super) fn joined(mut self, findings: &mut Findings) -> Self {
        let mut open: Vec<(String, Node)> = std::mem::take(&mut self.nodes).into_iter().rev().collect();
        while let Some((key, node)) = open.pop() {
            match node.raw {
                Raw::Table(inner) if !inner.is_empty() => {
                    open.extend(inner.into_iter().rev().map(|(level, node)| (format!("{key}_{level}"), node)));
                }
                raw => {
                    let (key, node) = (key.replace('.', "_"), Node { raw, source: node.source });
                    let path = self.path(&key);
                    match self.nodes.get(&key) {
                        Some(first) => {
                            let why = format!("is given twice; the other one is at {}", first.source);
                            findings.mistake(&node.source, &path, why);
                        }
                        None => drop(self.nodes.insert(key, node)),
                    }
                }
            }
        }
        self
    }

    /// Everything that is left, for tables whose keys are the user's own.
    pub(super) fn into_rest(self) -> Table {
        self.nodes
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self, findings: &mut Findings) {
        for (key, node) in self.nodes {
            unknown(&format!("{}{key}", self.prefix), &key, node, &self.known, findings);
        }
    }
}

fn unknown(path: &str, key: &str, node: Node, known: &[&str], findings: &mut Findings) {
    if findings.wanted.iter().any(|wanted| wanted == path) {
        match super::values::scalar(&node) {
            Ok(value) => drop(findings.referenced.insert(path.to_owned(), (value, node.source))),
            Err(expected) => {
                let found = node.raw.found(is_secret(path));
                findings.mistake(&node.source, path, format!("expected {expected}, found {found}"));
            }
        }
        return;
    }
    let parent = format!("{path}.");
    match node.raw {
        Raw::Table(inner) if findings.wanted.iter().any(|wanted| wanted.starts_with(&parent)) => {
            for (key, node) in inner {
                unknown(&format!("{parent}{key}"), &key, node, &[], findings);
            }
        }
        _ => findings.mistake(&node.source, path, unknown_key(key, known)),
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(key, known) {
        return format!("unknown setting; did you mean `{near}`?");
    }
    if known.is_empty() {
        return "unknown setting: no declaration reads it with `setting(\"…\")`; take it out".to_owned();
    }
    format!("unknown setting; there are: {}", known.join(", "))
}
