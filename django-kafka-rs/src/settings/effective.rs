//! All settings with their values and where each comes from: what `check` prints.

use super::error::Source;
use super::properties::deprecated;
use super::secret::mask;
use super::values::{show_bytes, show_duration};
use super::{Properties, SchemaRegistrySettings, Settings, connect};
use crate::topic::{RetryMode, RetrySettings};

/// One setting as it is in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EffectiveSetting {
    /// With dots between its levels.
    pub key: String,
    /// As the settings file would have it; secrets are masked. Empty: not set.
    pub value: String,
    /// Where it was set.
    pub source: Source,
}

impl Settings {
    /// All settings in the order of the documentation, secrets masked.
    #[must_use]
    pub fn effective(&self) -> Vec<EffectiveSetting> {
        let defaults = Self::default().listing();
        self.listing()
            .into_iter()
            .map(|(key, value)| {
                let source = match self.loaded.origins.get(&key) {
                    Some((loaded, source)) if *loaded == value => source.clone(),
                    _ if defaults.contains(&(key.clone(), value.clone())) => Source::Default,
                    _ => Source::Program(None),
                };
                EffectiveSetting { value: mask(&key, &value), key, source }
            })
            .collect()
    }

    /// What works but should be looked at: properties that librdkafka is going to drop.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let sections = [
            ("global_config", &self.global_config),
            ("producer_config", &self.producer_config),
            ("consumer_config", &self.consumer_config),
        ];
        let mut warnings = Vec::new();
        for (section, properties) in sections {
            for (name, _) in properties.iter().filter(|(name, _)| deprecated(name)) {
                let key = format!("{section}.{name}");
                let source = self.loaded.origins.get(&key).map_or(Source::Program(None), |(_, source)| source.clone());
                warnings.push(format!("{source}: `{key}`: librdkafka calls this property deprecated: take it out"));
            }
        }
        warnings
    }

    /// The value of a setting for `setting("path")`, unmasked: one that only declarations read, or one of ours.
    pub(crate) fn lookup(&self, path: &str) -> Option<String> {
        let referenced = self.loaded.referenced.get(path).map(|(value, _)| value.clone());
        referenced.or_else(|| {
            self.listing().into_iter().find(|(key, value)| key == path && !value.is_empty()).map(|(_, value)| value)
        })
    }

    /// All settings, unmasked. Maps are listed by entry, and an empty value is one that is not set.
    pub(super) fn listing(&self) -> Vec<(String, String)> {
        let mut list = Listing::default();
        list.add("client_id", &self.client_id);
        list.properties("global_config", &self.global_config);
        list.properties("producer_config", &self.producer_config);
        list.properties("consumer_config", &self.consumer_config);
        list.properties("retry_consumer_config", &self.retry_consumer_config);
        list.retry(self.retry_settings.as_ref());
        list.add("retry_topic_suffix", &self.retry_topic_suffix);
        list.add("dead_letter_topic_suffix", &self.dead_letter_topic_suffix);
        list.add("polling_frequency", show_duration(self.polling_frequency));
        list.add("relation_resolver_daemon", self.relation_resolver_daemon.name());
        list.add("relation_resolver_daemon_interval", show_duration(self.relation_resolver_daemon_interval));
        list.add("relation_resolver_lease", show_duration(self.relation_resolver_lease));
        if cfg!(feature = "temporal") {
            list.add("temporal_task_queue", &self.temporal_task_queue);
            list.add("temporal.address", &self.temporal.address);
            list.add("temporal.namespace", &self.temporal.namespace);
            list.add("temporal.api_key", self.temporal.api_key.as_deref().unwrap_or_default());
            list.add("temporal.tls_ca", self.temporal.tls_ca.as_deref().unwrap_or_default());
        }
        if cfg!(feature = "connect") {
            for (key, value) in connect::listing(self) {
                list.add(key, value);
            }
        }
        list.add("database_url", self.database_url.as_deref().unwrap_or_default());
        list.add("database.pool_size", self.database.pool_size.to_string());
        list.add("database.busy_timeout", show_duration(self.database.busy_timeout));
        list.add("database.synchronous", self.database.synchronous.map_or("", super::Synchronous::name));
        list.add("batch.max", self.batch.max.to_string());
        list.add("batch.bytes", show_bytes(self.batch.bytes));
        list.add("batch.linger", show_duration(self.batch.linger));
        list.add("batch.workers", self.batch.workers.to_string());
        list.add("batch.buffer_messages", self.batch.buffer_messages.to_string());
        list.add("batch.buffer_bytes", show_bytes(self.batch.buffer_bytes));
        list.add("key_offset_tracker.group_id", self.key_offset_tracker.group_id.as_deref().unwrap_or_default());
        list.add("reproducer_config.namespace", self.reproducer_config.namespace.as_deref().unwrap_or_default());
        for (name, value) in &self.topic_variables {
            list.add(&format!("topic_variables.{name}"), value);
        }
        list.add("topics.partitions", show(self.topics.partitions));
        list.add("topics.replication", show(self.topics.replication));
        list.add("topics.retention", self.topics.retention.map(show_duration).unwrap_or_default());
        list.schema_registry(&self.schema_registry);
        if cfg!(feature = "metrics") {
            list.add("metrics.listen", show(self.metrics.listen));
        }
        list.add("shutdown_timeout", show_duration(self.shutdown_timeout));
        list.add("embedded.enabled", self.embedded.enabled.to_string());
        list.add("embedded.partitions", self.embedded.partitions.to_string());
        list.0
    }
}

fn show(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

#[derive(Default)]
struct Listing(Vec<(String, String)>);

impl Listing {
    fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.push((key.to_owned(), value.into()));
    }

    fn properties(&mut self, section: &str, properties: &Properties) {
        for (name, value) in properties.iter() {
            self.add(&format!("{section}.{name}"), value);
        }
    }

    fn schema_registry(&mut self, settings: &SchemaRegistrySettings) {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        self.add("schema_registry.url", settings.urls.join(","));
        self.add("schema_registry.basic_auth_user_info", text(&settings.basic_auth_user_info));
        self.add("schema_registry.bearer_auth_token", text(&settings.bearer_auth_token));
        self.add("schema_registry.ssl_ca_location", text(&settings.ssl_ca_location));
        self.add("schema_registry.ssl_certificate_location", text(&settings.ssl_certificate_location));
        self.add("schema_registry.ssl_key_location", text(&settings.ssl_key_location));
        self.add("schema_registry.timeout", show_duration(settings.timeout));
        self.add("schema_registry.auto_register_schemas", settings.auto_register_schemas.to_string());
        self.add("schema_registry.use_latest_version", settings.use_latest_version.to_string());
        self.add("schema_registry.check_compatibility", settings.check_compatibility.to_string());
    }

    fn retry(&mut self, retry: Option<&RetrySettings>) {
        let Some(retry) = retry else {
            return;
        };
        let ms = |ms| show_duration(std::time::Duration::from_millis(ms));
        self.add("retry_settings.max_retries", retry.max_retries.to_string());
        self.add("retry_settings.delay", ms(retry.delay_ms));
        self.add("retry_settings.max_delay", retry.delay_ms_max.map(ms).unwrap_or_default());
        self.add("retry_settings.backoff", retry.backoff.to_string());
        self.add("retry_settings.jitter", retry.jitter.to_string());
        self.add("retry_settings.blocking", (retry.mode == RetryMode::Blocking).to_string());
        self.add("retry_settings.log_every", show(retry.log_every));
        self.add("retry_settings.use_offset_tracker", retry.use_offset_tracker.to_string());
    }
}
