//! The tree of raw settings: a TOML file with the environment laid over it. Each node knows where it comes from.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{SettingsMistake, Source};
use super::properties;
use super::section::SECTIONS;

/// What every environment variable of ours begins with.
pub(super) const ENV_PREFIX: &str = "DJANGO_KAFKA__";
/// Names the settings file.
pub(super) const ENV_FILE: &str = "DJANGO_KAFKA_SETTINGS";

pub(super) type Table = BTreeMap<String, Node>;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) raw: Raw,
    pub(super) source: Source,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    Text(String),
    Integer(i64),
    Float(f64),
    Flag(bool),
    Datetime(String),
    List(Vec<Node>),
    Table(Table),
}

impl Raw {
    /// What it is, for messages; with the value itself unless that must not be seen.
    pub(super) fn found(&self, secret: bool) -> String {
        match self {
            Self::Table(_) => "a table".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Text(_) if secret => "text".to_owned(),
            Self::Text(text) if text.is_empty() => "empty text".to_owned(),
            Self::Text(text) => format!("{:?}", super::mask("", text)),
            _ if secret => "something else".to_owned(),
            Self::Integer(n) => n.to_string(),
            Self::Float(x) => x.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Datetime(datetime) => format!("the date or time {datetime}"),
        }
    }
}

/// Reads the file and lays the environment over it. What is wrong goes to `mistakes`; the rest is returned.
pub(super) fn read(
    text: &str,
    file_name: &str,
    environment: &[(String, String)],
    mistakes: &mut Vec<SettingsMistake>,
) -> Table {
    let file = FileReader { text, name: Arc::from(file_name) };
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        mistakes.extend(errors.iter().map(|error| file.syntax_mistake(error)));
        mistakes.dedup();
        // What could be read of a broken file would only raise mistakes that nobody made.
        return Table::new();
    }
    let mut table = file.table("", document.get_ref(), mistakes);
    for (key, node) in &mut table {
        if let (true, Raw::Table(inner)) = (is_properties(key), &mut node.raw) {
            *inner = flatten(key, std::mem::take(inner), mistakes);
        }
    }
    for (variable, value) in environment {
        lay_over(&mut table, variable, value, mistakes);
    }
    table
}

/// Whether this top-level table holds librdkafka's properties.
fn is_properties(key: &str) -> bool {
    properties::SECTIONS.iter().any(|(section, _)| *section == key)
}

struct FileReader<'t> {
    text: &'t str,
    name: Arc<str>,
}

impl FileReader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.get(..at).unwrap_or_default().matches('\n').count() + 1
    }

    fn syntax_mistake(&self, error: &toml::de::Error) -> SettingsMistake {
        // Only the message: the parser's full text shows the line, which may hold a secret.
        let line = error.span().map_or(1, |span| self.line(span.start));
        let source = Source::File { name: self.name.clone(), line };
        SettingsMistake::without_key(source, format!("not TOML: {}", error.message().trim()))
    }

    /// `prefix` is the path of the table, with a dot at its end.
    fn table(&self, prefix: &str, table: &DeTable<'_>, mistakes: &mut Vec<SettingsMistake>) -> Table {
        table
            .iter()
            .filter_map(|(key, value)| {
                // A value's place is its key's: of a table that is spread over the file, this is the first one.
                let source = Source::File { name: self.name.clone(), line: self.line(key.span().start) };
                let path = format!("{prefix}{}", key.get_ref());
                match self.raw(&path, value, mistakes) {
                    Ok(raw) => Some((key.get_ref().to_string(), Node { raw, source })),
                    Err(why) => {
                        mistakes.push(SettingsMistake::new(&source, path, why));
                        None
                    }
                }
            })
            .collect()
    }

    fn raw(
        &self,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        mistakes: &mut Vec<SettingsMistake>,
    ) -> Result<Raw, String> {
        Ok(match value.get_ref() {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Integer(n) => Raw::Integer(
                i64::from_str_radix(n.as_str(), n.radix()).map_err(|_| "the number is too large".to_owned())?,
            ),
            DeValue::Float(x) => Raw::Float(x.as_str().parse().map_err(|_| "not a number".to_owned())?),
            DeValue::Boolean(flag) => Raw::Flag(*flag),
            DeValue::Datetime(datetime) => Raw::Datetime(datetime.to_string()),
            DeValue::Table(table) => Raw::Table(self.table(&format!("{path}."), table, mistakes)),
            DeValue::Array(list) => {
                let mut nodes = Vec::with_capacity(list.len());
                for item in list {
                    let source = Source::File { name: self.name.clone(), line: self.line(item.span().start) };
                    nodes.push(Node { raw: self.raw(path, item, mistakes)?, source });
                }
                Raw::List(nodes)
            }
        })
    }
}

/// `bootstrap.servers = "x"` is a table in a table to TOML: joins the levels again. Quoted keys may stand beside.
fn flatten(section: &str, table: Table, mistakes: &mut Vec<SettingsMistake>) -> Table {
    let mut flat = Table::new();
    let mut rest: Vec<(String, Node)> = table.into_iter().rev().collect();
    while let Some((key, node)) = rest.pop() {
        match node.raw {
            Raw::Table(inner) if !inner.is_empty() => {
                rest.extend(inner.into_iter().rev().map(|(level, node)| (format!("{key}.{level}"), node)));
            }
            raw => {
                let node = Node { raw, source: node.source };
                if let Some(first) = flat.get(&key) {
                    mistakes.push(SettingsMistake::new(
                        &node.source,
                        format!("{section}.{key}"),
                        format!("is given twice; the other one is at {}", first.source),
                    ));
                } else {
                    flat.insert(key, node);
                }
            }
        }
    }
    flat
}

/// Puts one environment variable into the tree, if it is one of ours.
fn lay_over(table: &mut Table, variable: &str, value: &str, mistakes: &mut Vec<SettingsMistake>) {
    let source = Source::Environment(Arc::from(variable));
    let Some(levels) = variable.strip_prefix(ENV_PREFIX) else {
        if let Some(meant) = single_underscore(variable) {
            mistakes.push(SettingsMistake::without_key(
                source,
                format!("would be ignored: two underscores come before each level; write `{meant}`"),
            ));
        }
        return;
    };
    let levels = levels.to_ascii_lowercase();
    let path = match levels.split_once("__") {
        Some((section, rest)) if is_properties(section) => vec![section.to_owned(), properties::name_of(rest)],
        _ => levels.split("__").map(str::to_owned).collect(),
    };
    if path.iter().any(String::is_empty) {
        mistakes.push(SettingsMistake::without_key(
            source,
            format!("has an empty level: write `{ENV_PREFIX}KEY` or `{ENV_PREFIX}TABLE__KEY`"),
        ));
        return;
    }
    let node = Node { raw: Raw::Text(value.to_owned()), source: source.clone() };
    if let Some(Source::Environment(other)) = insert(table, &path, node) {
        mistakes.push(SettingsMistake::new(
            &source,
            path.join("."),
            format!("is set by {other} too: keep one of them"),
        ));
    }
}

/// Sets the node at this path; returns the source of the value that it replaces.
fn insert(table: &mut Table, path: &[String], node: Node) -> Option<Source> {
    let (level, rest) = path.split_first()?;
    // Topic variables are the user's own names, in any case; the environment knows upper case only.
    let existing = table.keys().find(|key| key.eq_ignore_ascii_case(level)).cloned();
    let key = existing.unwrap_or_else(|| level.clone());
    if rest.is_empty() {
        return table.insert(key, node).map(|before| before.source);
    }
    let inner = table.entry(key).or_insert_with(|| Node { raw: Raw::Table(Table::new()), source: node.source.clone() });
    if let Raw::Table(inner) = &mut inner.raw {
        return insert(inner, rest, node);
    }
    // A value stands where a table belongs: the environment goes before it.
    *inner = Node { raw: Raw::Table(Table::new()), source: node.source.clone() };
    match &mut inner.raw {
        Raw::Table(inner) => insert(inner, rest, node),
        _ => None,
    }
}

/// `DJANGO_KAFKA_CLIENT_ID` was meant to be `DJANGO_KAFKA__CLIENT_ID`.
fn single_underscore(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix("DJANGO_KAFKA_")?;
    let key = rest.to_ascii_lowercase();
    let section = SECTIONS
        .iter()
        .find(|section| key.strip_prefix(**section).is_some_and(|after| after.is_empty() || after.starts_with('_')))?;
    let after = rest[section.len()..].trim_start_matches('_');
    let head = &rest[..section.len()];
    Some(if after.is_empty() { format!("{ENV_PREFIX}{head}") } else { format!("{ENV_PREFIX}{head}__{after}") })
}
