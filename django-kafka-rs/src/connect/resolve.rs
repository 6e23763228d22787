//! Declarations and settings → connectors with their names, and their configurations filled in. Pure; all mistakes at
//! once, each with the place of its declaration.

#[cfg(feature = "connect")]
use std::collections::BTreeMap;
use std::collections::HashMap;

use super::ConnectorDeclaration;
#[cfg(feature = "connect")]
use super::ConnectorValue;
use crate::settings::Settings;
#[cfg(feature = "connect")]
use crate::settings::{is_secret, mask};
use crate::topic::names;

/// A connector whose name is known.
#[derive(Debug, Clone)]
pub(crate) struct NamedConnector {
    pub(crate) declaration: ConnectorDeclaration,
    /// As Kafka Connect has it.
    pub(crate) name: String,
}

/// The connectors with their names, or everything that is wrong with them.
pub(crate) fn resolve(
    connectors: &[ConnectorDeclaration],
    settings: &Settings,
) -> Result<Vec<NamedConnector>, Vec<String>> {
    let (mut named, mut mistakes) = (Vec::new(), Vec::new());
    for declaration in connectors {
        match name(declaration, settings) {
            Ok(name) => named.push(NamedConnector { declaration: *declaration, name }),
            Err(mistake) => mistakes.push(format!("{}: {mistake}", place(declaration))),
        }
        mistakes.extend(keys(declaration).into_iter().map(|mistake| format!("{}: {mistake}", place(declaration))));
    }
    let mut first: HashMap<&str, &NamedConnector> = HashMap::new();
    for connector in &named {
        if let Some(other) = first.insert(&connector.name, connector) {
            mistakes.push(format!(
                "{}: another connector has the name `{}` too, declared at {}: publishing one would overwrite the other; \
                 rename one, or give it a name of its own (`name = \"…\"`)",
                place(&connector.declaration),
                connector.name,
                other.declaration.location
            ));
        }
    }
    if mistakes.is_empty() { Ok(named) } else { Err(mistakes) }
}

fn place(declaration: &ConnectorDeclaration) -> String {
    format!("{}: connector `{}`", declaration.location, declaration.type_name)
}

/// `{prefix}.{name}`.
fn name(declaration: &ConnectorDeclaration, settings: &Settings) -> Result<String, String> {
    let own = declaration.name.unwrap_or(declaration.type_name);
    let own = names::substitute(own, &settings.topic_variables, false).map_err(|e| e.to_string())?;
    if own.trim().is_empty() {
        return Err("its name is empty".to_owned());
    }
    Ok(match settings.connector_name_prefix.as_str() {
        "" => own,
        prefix => format!("{prefix}.{own}"),
    })
}

/// What the macro cannot see of a configuration that a function makes. What the function itself refuses is said where
/// the configuration is needed: a consumer does without it.
fn keys(declaration: &ConnectorDeclaration) -> Vec<String> {
    let mut mistakes = Vec::new();
    let Ok(config) = declaration.configuration() else { return mistakes };
    if config.get("connector.class").is_none() && !declaration.mark_for_removal {
        mistakes.push("its configuration has no `connector.class`: add it".to_owned());
    }
    if config.get("name").is_some() {
        mistakes.push(
            "its configuration has a `name`: take it out; for another name than the struct's write \
             `#[connector(name = \"…\", …)]`"
                .to_owned(),
        );
    }
    mistakes
}

/// A configuration as it is sent, and what of it may be shown.
#[cfg(feature = "connect")]
#[derive(Clone, Default)]
pub(crate) struct FilledConfig(BTreeMap<String, Filled>);

#[cfg(feature = "connect")]
#[derive(Clone)]
struct Filled {
    value: String,
    /// What stands for the value; `None`: it may be shown itself.
    instead: Option<String>,
}

#[cfg(feature = "connect")]
impl FilledConfig {
    /// Fills in what is known only at start. All mistakes at once.
    #[cfg(test)]
    pub(crate) fn of(
        connector: &NamedConnector,
        settings: &Settings,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<String>> {
        let (filled, mistakes) = Self::as_far_as_known(connector, settings, environment);
        if mistakes.is_empty() { Ok(filled) } else { Err(mistakes) }
    }

    /// What of the configuration is known, and why the rest is not: enough to know secrets where they are met.
    pub(crate) fn as_far_as_known(
        connector: &NamedConnector,
        settings: &Settings,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> (Self, Vec<String>) {
        let place = place(&connector.declaration);
        let (mut filled, mut mistakes) = (BTreeMap::new(), Vec::new());
        let config = connector.declaration.configuration().unwrap_or_else(|error| {
            mistakes.push(format!("{place}: {error}"));
            super::ConnectorConfig::default()
        });
        for (key, value) in config.iter() {
            let found = match value {
                ConnectorValue::Text(text) if is_secret(key) => Ok((text.clone(), Some("***".to_owned()))),
                ConnectorValue::Text(text) => Ok((text.clone(), None)),
                ConnectorValue::Env(variable) => environment(variable)
                    .map(|value| (value, Some(format!("env({variable})"))))
                    .ok_or_else(|| format!("the environment variable `{variable}` is not set")),
                ConnectorValue::Setting(path) => settings
                    .lookup(path)
                    .map(|value| (value, Some(format!("setting({path})"))))
                    .ok_or_else(|| format!("the setting `{path}` is not set")),
            };
            match found {
                Ok((value, instead)) => {
                    filled.insert(key.to_owned(), Filled { value, instead });
                }
                Err(why) => mistakes.push(format!("{place}: `{key}`: {why}")),
            }
        }
        (Self(filled), mistakes)
    }

    /// As it is sent. Not for showing.
    pub(crate) fn values(&self) -> BTreeMap<&str, &str> {
        self.0.iter().map(|(key, filled)| (key.as_str(), filled.value.as_str())).collect()
    }

    /// The value of a key. Not for showing.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|filled| filled.value.as_str())
    }

    /// The value of a key as it may be shown.
    pub(crate) fn shown(&self, key: &str) -> Option<String> {
        let filled = self.0.get(key)?;
        Some(filled.instead.clone().unwrap_or_else(|| mask(key, &filled.value)))
    }

    /// A value that Kafka Connect has under a key, as it may be shown: none where ours is a secret.
    pub(crate) fn shown_of_other(&self, key: &str, value: &str) -> String {
        match self.0.get(key) {
            Some(Filled { instead: Some(_), .. }) => "***".to_owned(),
            _ => mask(key, value),
        }
    }

    /// A text of Kafka Connect's without the secrets that it may repeat.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let hidden = self.0.values().filter(|filled| filled.instead.is_some());
        let mut values: Vec<&str> = hidden.map(|filled| filled.value.as_str()).collect();
        // A secret may be the beginning of another.
        values.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
        let text = values
            .into_iter()
            .filter(|value| !value.is_empty())
            .fold(text.to_owned(), |text, value| without(&text, value));
        // Logins in addresses too.
        mask("", &text)
    }
}

#[cfg(feature = "connect")]
impl std::fmt::Debug for FilledConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.0.keys().map(|key| (key, self.shown(key).unwrap_or_default()))).finish()
    }
}

/// The text with every occurrence of the value replaced. A short value (a port, `1`) counts as a whole word only: inside
/// of others it is no secret, and the text would be unreadable.
#[cfg(feature = "connect")]
fn without(text: &str, value: &str) -> String {
    const SHORT: usize = 8;
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(value) {
        let (before, found) = rest.split_at(at);
        let after = &found[value.len()..];
        let last = before.chars().next_back().or_else(|| shown.chars().next_back());
        let inside = value.len() < SHORT && (is_word(last) || is_word(after.chars().next()));
        shown.push_str(before);
        shown.push_str(if inside { value } else { "***" });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::connect::{ConfigError, ConnectorConfig, env, setting};
    use crate::topic::Location;

    const fn at(line: u32) -> Location {
        Location { file: "src/main.rs", line }
    }

    fn source() -> ConnectorConfig {
        ConnectorConfig::of_class("org.acme.Source")
            .set("database.url", "postgres://me:hidden@db/crm")
            .set("database.password", "hidden")
            .set("database.hostname", env("DB_HOST"))
            .set("topic.prefix", setting("topic_variables.prefix"))
    }

    const SOURCE: ConnectorDeclaration = ConnectorDeclaration::new("CrmSource", at(1)).config_of(|| Ok(source()));
    const NAMED: ConnectorDeclaration = SOURCE.name("${prefix}-crm");
    const EMPTY: ConnectorDeclaration = ConnectorDeclaration::new("Empty", at(2));
    const CALLED: ConnectorDeclaration = ConnectorDeclaration::new("Called", at(3))
        .config_of(|| Ok(ConnectorConfig::of_class("org.acme.Source").set("name", "x")));
    const REFUSED: ConnectorDeclaration =
        ConnectorDeclaration::new("Refused", at(4)).config_of(|| Err(ConfigError::new("no file")));

    fn settings(prefix: &str) -> Settings {
        let mut settings = Settings::default();
        prefix.clone_into(&mut settings.connector_name_prefix);
        settings.topic_variables.insert("prefix".to_owned(), "shop".to_owned());
        settings
    }

    fn check(connectors: &[ConnectorDeclaration], prefix: &str, expected: &Expect) {
        let text = match resolve(connectors, &settings(prefix)) {
            Ok(named) => named.into_iter().map(|connector| connector.name).collect::<Vec<_>>().join("\n"),
            Err(mistakes) => mistakes.join("\n"),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn names_stand_behind_the_prefix() {
        check(
            &[SOURCE, NAMED],
            "",
            &expect![[r#"
            CrmSource
            shop-crm"#]],
        );
        check(
            &[SOURCE, NAMED, REFUSED],
            "stage",
            &expect![[r#"
            stage.CrmSource
            stage.shop-crm
            stage.Refused"#]],
        );
    }

    #[test]
    fn says_all_mistakes_with_their_places() {
        let variable = ConnectorDeclaration::new("Other", at(5)).name("${other}").mark_for_removal();
        check(
            &[SOURCE, EMPTY, CALLED, SOURCE, variable],
            "",
            &expect![[r#"
            src/main.rs:2: connector `Empty`: its configuration has no `connector.class`: add it
            src/main.rs:3: connector `Called`: its configuration has a `name`: take it out; for another name than the struct's write `#[connector(name = "…", …)]`
            src/main.rs:5: connector `Other`: `${other}`: the variable `other` is not set; set it under `[topic_variables]` in the settings: `other = "…"` (known: prefix)
            src/main.rs:1: connector `CrmSource`: another connector has the name `CrmSource` too, declared at src/main.rs:1: publishing one would overwrite the other; rename one, or give it a name of its own (`name = "…"`)"#]],
        );
    }

    #[cfg(feature = "connect")]
    fn filled(declaration: ConnectorDeclaration, environment: &dyn Fn(&str) -> Option<String>) -> String {
        let connector = NamedConnector { declaration, name: "CrmSource".to_owned() };
        match FilledConfig::of(&connector, &settings(""), environment) {
            Ok(config) => format!("{config:#?}"),
            Err(mistakes) => mistakes.join("\n"),
        }
    }

    #[cfg(feature = "connect")]
    #[test]
    fn values_of_the_environment_the_settings_and_secret_keys_are_never_shown() {
        expect![[r#"
            {
                "connector.class": "org.acme.Source",
                "database.hostname": "env(DB_HOST)",
                "database.password": "***",
                "database.url": "postgres://***@db/crm",
                "topic.prefix": "setting(topic_variables.prefix)",
            }"#]]
        .assert_eq(&filled(SOURCE, &|_| Some("db.internal".to_owned())));
    }

    #[cfg(feature = "connect")]
    #[test]
    fn what_is_missing_is_said_together() {
        const MISSING: ConnectorDeclaration = ConnectorDeclaration::new("Missing", at(7))
            .config_of(|| Ok(ConnectorConfig::of_class(env("CLASS")).set("a", env("A")).set("b", setting("crm.b"))));
        expect![[r#"
            src/main.rs:7: connector `Missing`: `a`: the environment variable `A` is not set
            src/main.rs:7: connector `Missing`: `b`: the setting `crm.b` is not set
            src/main.rs:7: connector `Missing`: `connector.class`: the environment variable `CLASS` is not set"#]]
        .assert_eq(&filled(MISSING, &|_| None));
        expect!["src/main.rs:4: connector `Refused`: no file"].assert_eq(&filled(REFUSED, &|_| None));
    }

    #[cfg(feature = "connect")]
    #[test]
    fn texts_of_others_are_shown_without_our_secrets() {
        let connector = NamedConnector { declaration: SOURCE, name: "CrmSource".to_owned() };
        let config = FilledConfig::of(&connector, &settings(""), &|_| Some("1".to_owned())).expect("it is complete");
        let check = |text: &str, expected: &str| assert_eq!(config.scrub(text), expected);
        check("password hidden at 1, not 10 or 21", "password *** at ***, not 10 or 21");
        check("unhidden (hidden)", "unhidden (***)");
        check("cannot reach postgres://you:theirs@db/crm", "cannot reach postgres://***@db/crm");
        assert_eq!(without("a long-secret-here", "long-secret"), "a ***-here");
        assert_eq!(without("xlong-secretx", "long-secret"), "x***x");
        assert_eq!(config.shown_of_other("database.password", "old"), "***");
        assert_eq!(config.shown_of_other("connector.class", "old"), "old");
        assert_eq!(config.shown_of_other("other.secret", "old"), "***");
    }
}
