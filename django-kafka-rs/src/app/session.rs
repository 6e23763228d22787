//! How a group notices that a member is gone: by the member's own settings, or by the broker's.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::metadata::Metadata;

const SESSION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(45);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A member's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) timeout: Duration,
    pub(super) heartbeat: Duration,
}

impl Session {
    /// The session of a consumer with this configuration. `asking` asks the broker, where the broker decides
    /// (`group.protocol = consumer`). Blocks then, a few seconds at most; to be called on a blocking thread of a
    /// runtime.
    pub(super) fn of(config: &ClientConfig, asking: &ClientConfig, metadata: &Metadata) -> Self {
        if config.get("group.protocol") != Some("consumer") {
            return Self::from_values(
                |key| config.get(key).map(str::to_owned),
                ["session.timeout.ms", "heartbeat.interval.ms"],
                Duration::from_secs(3),
            );
        }
        let broker = metadata.brokers().first().map(rdkafka::metadata::MetadataBroker::id);
        let said = broker.and_then(|broker| match broker_config(asking, broker) {
            Ok(said) => Some(said),
            Err(why) => {
                tracing::warn!(
                    "the broker does not tell how long the sessions of its groups last \
                     (`group.consumer.session.timeout.ms`): {why}; taken for {} s, so that a process that stood still \
                     for less may commit what another one has taken over; let this client describe the broker's \
                     configuration (DescribeConfigs on the cluster)",
                    SESSION_TIMEOUT_DEFAULT.as_secs()
                );
                None
            }
        });
        Self::from_values(
            |key| said.as_ref()?.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone()),
            ["group.consumer.session.timeout.ms", "group.consumer.heartbeat.interval.ms"],
            Duration::from_secs(5),
        )
    }

    fn from_values(
        value: impl Fn(&str) -> Option<String>,
        [timeout, heartbeat]: [&str; 2],
        heartbeat_default: Duration,
    ) -> Self {
        let ms = |key, default| {
            let ms = value(key).and_then(|ms| ms.parse().ok()).filter(|ms| *ms > 0);
            ms.map_or(default, Duration::from_millis)
        };
        Self { timeout: ms(timeout, SESSION_TIMEOUT_DEFAULT), heartbeat: ms(heartbeat, heartbeat_default) }
    }

    /// How long this process may stand still and still be sure of its partitions: the broker counts from the last
    /// heartbeat, which may be one interval older than the last poll.
    pub(super) fn certain_for(self) -> Duration {
        self.timeout.saturating_sub(self.heartbeat).max(self.timeout / 2)
    }
}

fn broker_config(asking: &ClientConfig, broker: i32) -> Result<Vec<(String, String)>, String> {
    let admin: AdminClient<DefaultClientContext> = asking.create().map_err(|e| e.to_string())?;
    let options = AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT));
    let asked = [ResourceSpecifier::Broker(broker)];
    let answer = tokio::runtime::Handle::current().block_on(admin.describe_configs(&asked, &options));
    let resource = answer.map_err(|e| e.to_string())?.pop().ok_or("no answer")?.map_err(|e| e.to_string())?;
    Ok(resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(timeout: &str, heartbeat: &str) -> Session {
        let value = |key: &str| Some(if key == "timeout" { timeout } else { heartbeat }.to_owned());
        Session::from_values(value, ["timeout", "heartbeat"], Duration::from_secs(3))
    }

    #[test]
    fn partitions_are_certain_until_the_broker_may_have_missed_a_heartbeat() {
        assert_eq!(session("6000", "500").certain_for(), Duration::from_millis(5_500));
        assert_eq!(session("1300", "1200").certain_for(), Duration::from_millis(650), "never less than half");
        assert_eq!(session("", "0").certain_for(), Duration::from_secs(42), "librdkafka's defaults");
    }
}
