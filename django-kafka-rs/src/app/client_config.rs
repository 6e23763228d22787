//! librdkafka's configuration of consumers.

use std::time::Duration;

use rdkafka::ClientConfig;

use super::StartError;
use super::services::environment;
use crate::registry::ResolvedConsumer;
use crate::settings::{ClientKind, Settings};

/// librdkafka's configuration of a consumer: the user's, and what the runtime rests on.
pub(super) fn consumer_config(
    resolved: &ResolvedConsumer,
    is_retry: bool,
    has_patterns: bool,
    settings: &Settings,
    until_end: bool,
) -> Result<ClientConfig, StartError> {
    let kind = if is_retry {
        ClientKind::RetryConsumer(&resolved.declaration, &resolved.group)
    } else {
        ClientKind::Consumer(&resolved.declaration, &resolved.group)
    };
    let own = settings.client_config(kind, &environment)?;
    let mut config = ClientConfig::new();
    // Its default of one second costs whole seconds where queues are short.
    config.set("fetch.queue.backoff.ms", "5");
    // Memory is bounded, and lanes hold what is next. A message costs the client three times its bytes, so its number
    // is bounded too. All partitions share one queue, and a broker's answer has about as many bytes at most.
    config.set("queued.min.messages", "10000");
    config.set("queued.max.messages.kbytes", "2048");
    for (key, value) in own.iter() {
        config.set(key, value);
    }
    config.set("enable.auto.commit", "true");
    config.set("enable.partition.eof", if until_end { "true" } else { "false" });
    if has_patterns && !is_retry {
        let mut blacklist = resolved.passed_over(settings.suffixes());
        if let Some(own) = config.get("topic.blacklist").filter(|own| !own.is_empty()) {
            blacklist = format!("{own},{blacklist}");
        }
        config.set("topic.blacklist", &blacklist);
    }
    Ok(config)
}

/// How long a poll thread or an engine may be silent: by then the group has given their partitions away.
pub(super) fn silence_max(config: &ClientConfig) -> Duration {
    let ms = config.get("max.poll.interval.ms").and_then(|ms| ms.parse().ok());
    Duration::from_millis(ms.unwrap_or(300_000))
}
