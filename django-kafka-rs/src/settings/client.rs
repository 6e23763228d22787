//! The configuration of one Kafka client: layers of properties, lowest first.

use super::error::{SettingsErrors, SettingsMistake, Source};
use super::properties::{Audience, check};
use super::secret::is_secret;
use super::{Properties, Settings};
use crate::consumer::{ConfigValue, ConsumerDeclaration};

/// Which client a configuration is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ClientKind<'a> {
    /// A consumer as declared, and its group with its variables filled in.
    Consumer(&'a ConsumerDeclaration, &'a str),
    /// The retry consumer of a consumer, and that consumer's group.
    RetryConsumer(&'a ConsumerDeclaration, &'a str),
    /// The producer, and clients that ask for metadata.
    Producer,
}

impl Settings {
    /// The properties of a client.
    ///
    /// Consumers: `client_id`, `global_config`, `consumer_config`, the consumer's own `config(…)`, for retry
    /// consumers `retry_consumer_config`, then the group. Producers: `client_id`, `global_config`,
    /// `producer_config`. `environment` answers `env("…")`.
    pub(crate) fn client_config(
        &self,
        kind: ClientKind<'_>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Properties, SettingsErrors> {
        let mut merged: Properties = [("client.id", self.client_id.as_str())].into_iter().collect();
        let (declaration, group) = match kind {
            ClientKind::Producer => {
                merged.lay_over(&self.global_config, Audience::Producers);
                merged.lay_over(&self.producer_config, Audience::Producers);
                return Ok(merged);
            }
            ClientKind::Consumer(declaration, group) => (declaration, group.to_owned()),
            ClientKind::RetryConsumer(declaration, group) => {
                // It ends so whatever the topics' suffix is.
                (declaration, format!("{group}.retry"))
            }
        };
        merged.lay_over(&self.global_config, Audience::Consumers);
        merged.lay_over(&self.consumer_config, Audience::Consumers);
        merged.lay_over(&self.resolve(declaration, environment)?, Audience::Consumers);
        if matches!(kind, ClientKind::RetryConsumer(..)) {
            merged.lay_over(&self.retry_consumer_config, Audience::Consumers);
        }
        merged.set("group.id", group);
        // Whoever left it out gets what the runtime needs: offsets are stored when their messages are handled.
        merged.set("enable.auto.offset.store", "false");
        Ok(merged)
    }

    /// A consumer's own properties with `env("…")` and `setting("…")` filled in; what is missing or wrong is
    /// reported together.
    fn resolve(
        &self,
        declaration: &ConsumerDeclaration,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Properties, SettingsErrors> {
        let place = format!("{} (consumer `{}`)", declaration.location, declaration.type_name);
        let source = Source::Program(Some(place.into()));
        let (mut properties, mut mistakes) = (Properties::default(), Vec::new());
        for (name, value) in declaration.config {
            let resolved = self.value_of(value, environment);
            let checked = resolved.and_then(|value| {
                let found = if is_secret(name) { "other text".to_owned() } else { format!("{value:?}") };
                check(name, &value, &found, Audience::Consumers).map(|()| value)
            });
            match checked {
                Ok(value) => properties.set(*name, value),
                Err(why) => mistakes.push(SettingsMistake::new(&source, *name, why)),
            }
        }
        SettingsErrors::check(mistakes).map(|()| properties)
    }

    fn value_of(&self, value: &ConfigValue, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
        match *value {
            ConfigValue::Str(text) => Ok(text.to_owned()),
            ConfigValue::Int(n) => Ok(n.to_string()),
            ConfigValue::Float(x) => Ok(x.to_string()),
            ConfigValue::Bool(flag) => Ok(flag.to_string()),
            ConfigValue::Env(variable) => environment(variable)
                .ok_or_else(|| format!("the environment variable `{variable}` is not set: set it before the start")),
            ConfigValue::Setting(path) => {
                self.lookup(path).ok_or_else(|| format!("the setting `{path}` is not set: add it to the settings file"))
            }
        }
    }
}
