//! A connector's configuration before it is sent: keys, and values that may be known only at start.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt;

use crate::consumer::ConfigValue;

/// Keys of Kafka Connect that hold a list of names, each with keys of its own.
const LISTS: [&str; 2] = ["transforms", "predicates"];

/// A connector's configuration. Its `Debug` form shows no values, which may be secrets.
///
/// See [the module](super) for an example.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConnectorConfig(BTreeMap<String, ConnectorValue>);

/// The value of one key. Kafka Connect takes all values as text: numbers and booleans become that.
#[derive(Clone, PartialEq, Eq)]
pub enum ConnectorValue {
    /// As it is.
    Text(String),
    /// An environment variable, read when the connector is validated or published, and never shown.
    Env(String),
    /// A setting, with dots between its levels; read and kept likewise.
    Setting(String),
}

/// The value of an environment variable, as `env("…")` in `#[connector(config(…))]`.
pub fn env(variable: impl Into<String>) -> ConnectorValue {
    ConnectorValue::Env(variable.into())
}

/// The value of a setting, as `setting("…")` in `#[connector(config(…))]`.
pub fn setting(path: impl Into<String>) -> ConnectorValue {
    ConnectorValue::Setting(path.into())
}

impl ConnectorConfig {
    /// A configuration with nothing but its `connector.class`: a Java class, such as
    /// [`debezium::POSTGRES`](super::debezium::POSTGRES).
    pub fn of_class(class: impl Into<ConnectorValue>) -> Self {
        Self::default().set("connector.class", class)
    }

    /// Sets a key; one that was set before is replaced.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<ConnectorValue>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// Adds another configuration: its keys replace those of the same name, and its `transforms` and `predicates` run
    /// after those that are there.
    #[must_use]
    pub fn with(mut self, other: impl Into<Self>) -> Self {
        for (key, value) in other.into().0 {
            let value = match (self.0.get(&key), value) {
                (Some(ConnectorValue::Text(before)), ConnectorValue::Text(added)) if LISTS.contains(&key.as_str()) => {
                    ConnectorValue::Text(joined(before, &added))
                }
                (_, value) => value,
            };
            self.0.insert(key, value);
        }
        self
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&ConnectorValue> {
        self.0.get(key)
    }

    /// All keys with their values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ConnectorValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

/// Two comma-separated lists as one, each name once.
fn joined(before: &str, added: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in before.split(',').chain(added.split(',')).map(str::trim).filter(|name| !name.is_empty()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(",")
}

impl fmt::Debug for ConnectorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Its text may be a secret, which only the key tells.
impl fmt::Debug for ConnectorValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::Env(variable) => f.debug_tuple("Env").field(variable).finish(),
            Self::Setting(path) => f.debug_tuple("Setting").field(path).finish(),
        }
    }
}

impl<K: Into<String>, V: Into<ConnectorValue>> FromIterator<(K, V)> for ConnectorConfig {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

macro_rules! values_of {
    ($($type:ty),*) => {
        $(
            impl From<$type> for ConnectorValue {
                fn from(value: $type) -> Self {
                    Self::Text(value.to_string())
                }
            }
        )*
    };
}
values_of!(&str, &String, bool, char, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64);

impl From<String> for ConnectorValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<ConfigValue> for ConnectorValue {
    fn from(value: ConfigValue) -> Self {
        match value {
            ConfigValue::Str(text) => text.into(),
            ConfigValue::Int(number) => number.into(),
            ConfigValue::Float(number) => number.into(),
            ConfigValue::Bool(flag) => flag.into(),
            ConfigValue::Env(variable) => env(variable),
            ConfigValue::Setting(path) => setting(path),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error of these words.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// What the function of `#[connector(config = path)]` may give: a [`ConnectorConfig`], a list or a map of keys and values,
/// a JSON object, or a `Result` of one of these.
#[diagnostic::on_unimplemented(
    message = "the function of `config = …` gives `{Self}`, which is not a connector's configuration",
    label = "this function",
    note = "it may give a `ConnectorConfig`, a list or a map of keys and values, a JSON object, or a `Result` of these"
)]
pub trait IntoConnectorConfig {
    /// The configuration.
    ///
    /// # Errors
    /// The function's own, a key that is given twice, or a value that is neither text nor a number or a boolean.
    fn into_connector_config(self) -> Result<ConnectorConfig, ConfigError>;
}

#[diagnostic::do_not_recommend]
impl IntoConnectorConfig for ConnectorConfig {
    fn into_connector_config(self) -> Result<ConnectorConfig, ConfigError> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<C: IntoConnectorConfig, E: Into<Box<dyn Error + Send + Sync>>> IntoConnectorConfig for Result<C, E> {
    fn into_connector_config(self) -> Result<ConnectorConfig, ConfigError> {
        self.map_err(|error| ConfigError(error.into().to_string()))?.into_connector_config()
    }
}

fn of_list<K: Into<String>, V: Into<ConnectorValue>>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Result<ConnectorConfig, ConfigError> {
    let mut config = ConnectorConfig::default();
    for (key, value) in pairs {
        let key = key.into();
        if config.get(&key).is_some() {
            return Err(ConfigError(format!("`{key}` is given twice: take one of them out")));
        }
        config = config.set(key, value);
    }
    Ok(config)
}

#[diagnostic::do_not_recommend]
impl<K: Into<String>, V: Into<ConnectorValue>> IntoConnectorConfig for Vec<(K, V)> {
    fn into_connector_config(self) -> Result<ConnectorConfig, ConfigError> {
        of_list(self)
    }
}

#[diagnostic::do_not_recommend]
impl<K: Into<String>, V: Into<ConnectorValue>, const N: usize> IntoConnectorConfig for [(K, V); N] {
    fn into_connector_config(self) -> Result<ConnectorConfig, ConfigError> {
        of_list(self)
    }
}

#[diagnostic::do_not_recommend]
impl<K: Into<String> + Copy, V: Into<ConnectorValue> + Copy> IntoConnectorConfig for &[(K, V)] {
    fn into_connector_config(self) -> Result<ConnectorConfig, ConfigError> {
        of_list(self.iter().copied())
    }
}

#[diagnostic::do_not_recommend]
impl<K: Into<String>, V: Into<ConnectorValue>> IntoConnectorConfig for BTreeMap<K, V> {
    fn into_connector_config(self) -> Result<ConnectorConfig, ConfigError> {
        of_list(self)
    }
}

#[diagnostic::do_not_recommend]
impl<K: Into<String>, V: Into<ConnectorValue>, S> IntoConnectorConfig for HashMap<K, V, S> {
    fn into_connector_config(self) -> Result<ConnectorConfig, ConfigError> {
        of_list(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoConnectorConfig for serde_json::Map<String, serde_json::Value> {
    fn into_connector_config(self) -> Result<ConnectorConfig, ConfigError> {
        use serde_json::Value;

        let text = |key: &str, value| match value {
            Value::String(text) => Ok(text),
            Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                Err(ConfigError(format!("`{key}` is neither text nor a number or a boolean")))
            }
        };
        self.into_iter().map(|(key, value)| text(&key, value).map(|value| (key, value))).collect()
    }
}

#[diagnostic::do_not_recommend]
impl IntoConnectorConfig for serde_json::Value {
    fn into_connector_config(self) -> Result<ConnectorConfig, ConfigError> {
        match self {
            Self::Object(map) => map.into_connector_config(),
            _ => Err(ConfigError::new("the function gave JSON that is not an object of keys and values")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(config: &ConnectorConfig, key: &str) -> Option<String> {
        match config.get(key)? {
            ConnectorValue::Text(text) => Some(text.clone()),
            other => Some(format!("{other:?}")),
        }
    }

    #[test]
    fn transforms_of_several_parts_run_one_after_the_other() {
        let part = |name: &str, key: &str| ConnectorConfig::default().set("transforms", name).set(key, "x");
        let config = ConnectorConfig::of_class("org.acme.Source")
            .with(part("skip", "transforms.skip.type"))
            .with(part("unwrap, skip", "transforms.unwrap.type"));
        assert_eq!(text(&config, "transforms").as_deref(), Some("skip,unwrap"));
        assert_eq!(config.iter().count(), 4);
    }

    #[test]
    fn functions_may_give_what_is_at_hand() {
        let check = |given: Result<ConnectorConfig, ConfigError>| {
            let config = given.expect("a configuration");
            assert_eq!(text(&config, "tasks.max").as_deref(), Some("1"));
        };
        check(vec![("tasks.max", "1")].into_connector_config());
        check([("tasks.max", 1)].into_connector_config());
        check(BTreeMap::from([("tasks.max".to_owned(), "1".to_owned())]).into_connector_config());
        check(HashMap::from([("tasks.max", 1_u16)]).into_connector_config());
        check(serde_json::json!({ "tasks.max": 1 }).into_connector_config());
        check(Ok::<_, std::io::Error>([("tasks.max", ConfigValue::Int(1))]).into_connector_config());
        let refused = |given: Result<ConnectorConfig, ConfigError>| given.expect_err("a mistake").to_string();
        assert_eq!(refused([("a", 1), ("a", 2)].into_connector_config()), "`a` is given twice: take one of them out");
        assert_eq!(refused(Err::<ConnectorConfig, _>("no file").into_connector_config()), "no file");
        assert!(refused(serde_json::json!({ "a": [] }).into_connector_config()).contains("`a` is neither"));
        assert!(refused(serde_json::json!([1]).into_connector_config()).contains("not an object"));
    }

    #[test]
    fn debug_shows_no_values() {
        let config = ConnectorConfig::default().set("database.password", "hidden").set("a", env("VARIABLE"));
        assert_eq!(format!("{config:?}"), r#"{"a", "database.password"}"#);
        assert_eq!(format!("{:?}", config.get("database.password")), "Some(Text(…))");
    }
}
