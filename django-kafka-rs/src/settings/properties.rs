//! librdkafka's properties: kept with their names, checked against the table of the bundled librdkafka.

use std::collections::BTreeMap;
use std::fmt;

use super::document::{Node, Raw, Table};
use super::librdkafka_table::{Kind, PROPERTIES, Property, Scope, find};
use super::secret::{is_secret, mask};
use super::section::Findings;
use super::values;
use crate::nearest::nearest;

/// The settings that hold properties, and whose.
pub(super) const SECTIONS: &[(&str, Audience)] = &[
    ("global_config", Audience::Everyone),
    ("producer_config", Audience::Producers),
    ("consumer_config", Audience::Consumers),
    ("retry_consumer_config", Audience::Consumers),
];

/// Who gets a set of properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    Everyone,
    Producers,
    Consumers,
}

/// librdkafka properties by name. Its `Debug` form shows no secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Sets a property. One that stands for the same thing under another name goes: the last one set counts.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        let canonical = canonical_name(&name);
        self.0.retain(|other, _| *other == name || canonical_name(other) != canonical);
        self.0.insert(name, value.into());
    }

    /// The value of a property, by this name or by another one of the same property.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let canonical = canonical_name(name);
        self.0.iter().find(|(other, _)| canonical_name(other) == canonical).map(|(_, value)| value.as_str())
    }

    /// All properties, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lays others over these; only those that clients of this kind have.
    pub(super) fn lay_over(&mut self, others: &Self, audience: Audience) {
        for (name, value) in others.iter().filter(|(name, _)| find(name).is_none_or(|p| concerns(p, audience))) {
            self.set(name, value);
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut properties = Self::default();
        pairs.into_iter().for_each(|(name, value)| properties.set(name, value));
        properties
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, mask(name, value)))).finish()
    }
}

fn canonical_name(name: &str) -> &str {
    find(name).and_then(|property| property.alias_of).unwrap_or(name)
}

/// Whether librdkafka calls the property deprecated.
pub(super) fn deprecated(name: &str) -> bool {
    find(name).is_some_and(|property| property.deprecated)
}

fn concerns(property: &Property, audience: Audience) -> bool {
    match audience {
        Audience::Everyone => true,
        Audience::Producers => property.scope != Scope::Consumer,
        Audience::Consumers => property.scope != Scope::Producer,
    }
}

/// The property that a part of an environment variable's name means: `bootstrap_servers` is `bootstrap.servers`.
/// A few of librdkafka's names have underscores of their own.
pub(super) fn name_of(part: &str) -> String {
    let dotted = part.replace("__", ".").replace('_', ".");
    let own = PROPERTIES.iter().find(|property| property.name.replace('_', ".") == dotted);
    own.map_or(dotted, |property| property.name.to_owned())
}

/// Reads a table of properties. The table is flat: levels are joined already.
pub(super) fn read(section: &str, table: Table, audience: Audience, findings: &mut Findings) -> Properties {
    let mut properties = Properties::default();
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for (name, node) in table {
        let key = format!("{section}.{name}");
        findings.sources.insert(key.clone(), node.source.clone());
        let value = match value_text(&node) {
            Ok(value) => value,
            Err(expected) => {
                let found = node.raw.found(is_secret(&key));
                findings.mistake(&node.source, &key, format!("expected {expected}, found {found}"));
                continue;
            }
        };
        let found = node.raw.found(is_secret(&key));
        if let Err(mistake) = check(&name, &value, &found, audience).and_then(|()| check_settings_only(&name)) {
            findings.mistake(&node.source, &key, mistake);
            continue;
        }
        if let Some(other) = find(&name).and_then(|p| seen.insert(p.alias_of.unwrap_or(p.name), name.clone())) {
            let message = format!("is the same property as `{other}`, which is set too: keep one of them");
            findings.mistake(&node.source, &key, message);
        }
        properties.set(name, value);
    }
    properties
}

/// Scalars as written; a list becomes what librdkafka takes for one.
fn value_text(node: &Node) -> Result<String, String> {
    match &node.raw {
        Raw::List(items) => {
            let items: Result<Vec<String>, _> = items.iter().map(values::scalar).collect();
            items.map(|items| items.join(",")).map_err(|_| "text, or a list of text".to_owned())
        }
        Raw::Table(_) => Err("a value for this property".to_owned()),
        _ => values::scalar(node),
    }
}

/// Checks one property: that librdkafka knows it, for these clients, with such a value, and that it is not the
/// runtime's own. `found` is the value as messages may show it.
pub(super) fn check(name: &str, value: &str, found: &str, audience: Audience) -> Result<(), String> {
    let Some(property) = find(name) else {
        return Err(unknown(name, audience));
    };
    match (audience, property.scope) {
        (Audience::Producers, Scope::Consumer) => {
            return Err("is a property of consumers, not of producers: move it to `[consumer_config]`".to_owned());
        }
        (Audience::Consumers, Scope::Producer) => {
            return Err("is a property of producers, not of consumers: move it to `[producer_config]`".to_owned());
        }
        _ => {}
    }
    if property.kind == Kind::Callback {
        return Err("is set by a function of librdkafka's C interface, never as text: take it out".to_owned());
    }
    if !property.kind.accepts(value) {
        let default = match property.default {
            "" => String::new(),
            default => format!("; librdkafka's default is `{default}`"),
        };
        return Err(format!("expected {}, found {found}{default}", property.kind.expected()));
    }
    owned_by_runtime(name, value).map_or(Ok(()), |why| Err(why.to_owned()))
}

fn unknown(name: &str, audience: Audience) -> String {
    let known: Vec<&str> = PROPERTIES.iter().filter(|p| concerns(p, audience)).map(|p| p.name).collect();
    match nearest(name, &known) {
        Some(near) => format!("librdkafka has no such property; did you mean `{near}`?"),
        None => "librdkafka has no such property; its CONFIGURATION.md lists them all".to_owned(),
    }
}

/// Properties that would break what the runtime promises.
fn owned_by_runtime(name: &str, value: &str) -> Option<&'static str> {
    let is_true = value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("t") || value == "1";
    match name {
        "enable.auto.offset.store" if is_true => Some(
            "`true` would store offsets before their messages are handled, and lose them; \
             leave it out, or write `false`",
        ),
        "enable.auto.commit" | "auto.commit.enable" => {
            Some("belongs to the runtime, which commits what has been handled: take it out")
        }
        "enable.partition.eof" => Some("belongs to the runtime, which finds ends by it: take it out"),
        "delivery.report.only.error" if is_true => {
            Some("`true` would hide the acknowledgements that the runtime waits for: take it out")
        }
        "test.mock.num.brokers" => {
            Some("belongs to the runtime: `[embedded]` with `enabled = true` runs such a broker")
        }
        _ => None,
    }
}

/// What a consumer may declare, but no settings file: it would be the same for all.
fn check_settings_only(name: &str) -> Result<(), String> {
    match name {
        "group.id" => Err("each consumer declares its own group, `#[consumer(group = \"…\")]`: take it out".to_owned()),
        "group.instance.id" => {
            Err("would be the same for all consumers: give it in `#[consumer(config(…))]`".to_owned())
        }
        _ => Ok(()),
    }
}
