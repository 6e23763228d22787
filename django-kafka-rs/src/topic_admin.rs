//! Creating topics: retry and dead letter topics before their first message, and what `topics --create` asks for.
//!
//! A broker that creates topics by itself gives them its default retention, by which a dead letter would be gone
//! after a week. So the topics are created here first; where that is not allowed, the first message is left to the
//! broker's own creation, with a warning.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::Mutex;

use crate::embedded::EmbeddedBroker;
use crate::settings::TopicSettings;

/// How long a broker may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Retry topics keep their messages at least this long: a consumer that is down for a day must find them.
const RETRY_RETENTION_MIN: Duration = Duration::from_secs(24 * 60 * 60);
/// The largest message that a consumer takes by default, and the headers that we add (see `producer`).
const MESSAGE_BYTES_MAX: &str = "100065536";

/// A topic that is needed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// What a topic is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Declared in the program; who fills it may be somebody else.
    Declared,
    /// Messages of the topic `origin` that are tried again, for as long as `horizon`.
    Retry { origin: String, horizon: Duration },
    /// Messages of the topic `origin` that failed for good.
    DeadLetter { origin: String },
}

impl Kind {
    fn origin(&self) -> Option<&str> {
        match self {
            Self::Declared => None,
            Self::Retry { origin, .. } | Self::DeadLetter { origin } => Some(origin),
        }
    }

    /// Pure: the topic's configuration. `retention` is the setting's.
    fn config(&self, retention: Option<Duration>) -> Vec<(&'static str, String)> {
        let ms = |duration: Duration| duration.as_millis().min(i64::MAX as u128).to_string();
        match self {
            Self::Declared => retention.map(|retention| ("retention.ms", ms(retention))).into_iter().collect(),
            Self::Retry { horizon, .. } => vec![
                ("cleanup.policy", "delete".to_owned()),
                ("retention.ms", ms(horizon.saturating_mul(2).max(RETRY_RETENTION_MIN))),
                ("max.message.bytes", MESSAGE_BYTES_MAX.to_owned()),
            ],
            Self::DeadLetter { .. } => vec![
                ("cleanup.policy", "delete".to_owned()),
                ("retention.ms", retention.map_or("-1".to_owned(), ms)),
                ("max.message.bytes", MESSAGE_BYTES_MAX.to_owned()),
            ],
        }
    }
}

/// Creates topics. Cheap to clone; all clones share what is known to be there.
#[derive(Clone)]
pub(crate) struct TopicAdmin {
    inner: Arc<Inner>,
}

struct Inner {
    config: ClientConfig,
    embedded: Option<Arc<EmbeddedBroker>>,
    settings: TopicSettings,
    /// Topics that are there, or were tried for.
    known: Mutex<HashSet<String>>,
}

/// What came of creating topics.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Created {
    /// Topics that were not there before.
    pub(crate) made: Vec<String>,
    /// Topics that are still not there, each with the reason.
    pub(crate) failed: Vec<(String, String)>,
    /// The broker did not answer: it is worth asking again.
    pub(crate) is_away: bool,
}

impl TopicAdmin {
    /// `config`: of a client that only asks.
    pub(crate) fn new(config: ClientConfig, embedded: Option<Arc<EmbeddedBroker>>, settings: TopicSettings) -> Self {
        Self { inner: Arc::new(Inner { config, embedded, settings, known: Mutex::default() }) }
    }

    /// Sees to it that these topics are there before the first message is sent to them. What cannot be created is
    /// said once, and left to the broker.
    pub(crate) async fn ensure(&self, wanted: impl IntoIterator<Item = Wanted>) {
        let mut known = self.inner.known.lock().await;
        let unknown: Vec<Wanted> = wanted.into_iter().filter(|topic| !known.contains(&topic.name)).collect();
        if unknown.is_empty() {
            return;
        }
        let result = self.create(&unknown).await;
        for name in &result.made {
            tracing::info!(topic = name, "created");
        }
        for (topic, reason) in &result.failed {
            tracing::warn!(
                topic,
                "could not be created, and is left to the broker at its first message, with the broker's own \
                 retention: {reason}; create it beforehand with `topics --create` under an account that may"
            );
        }
        if !result.is_away {
            known.extend(unknown.into_iter().map(|topic| topic.name));
        }
    }

    /// Creates those of the topics that are not there.
    pub(crate) async fn create(&self, wanted: &[Wanted]) -> Created {
        if let Some(broker) = &self.inner.embedded {
            let mut result = Created::default();
            for topic in wanted {
                match broker.create_topic(&topic.name) {
                    Ok(()) => result.made.push(topic.name.clone()),
                    Err(error) => result.failed.push((topic.name.clone(), error.to_string())),
                }
            }
            return result;
        }
        let all = |reason: String| {
            let failed = wanted.iter().map(|topic| (topic.name.clone(), reason.clone())).collect();
            Created { failed, is_away: true, ..Created::default() }
        };
        let there = match self.partitions().await {
            Ok(there) => there,
            Err(reason) => return all(reason),
        };
        let missing: Vec<&Wanted> = wanted.iter().filter(|topic| !there.contains_key(&topic.name)).collect();
        if missing.is_empty() {
            return Created::default();
        }
        match self.request(&missing, &there).await {
            Ok(result) => result,
            Err(reason) => all(reason),
        }
    }

    /// The offset that a partition's next message gets; `None` where the broker does not say. Blocks, two seconds at most.
    pub(crate) fn end_of(&self, topic: &str, partition: i32) -> Option<i64> {
        let client: BaseConsumer = self.inner.config.create().ok()?;
        let (_, end) = client.fetch_watermarks(topic, partition, Duration::from_secs(2)).ok()?;
        Some(end)
    }

    async fn request(&self, missing: &[&Wanted], there: &BTreeMap<String, usize>) -> Result<Created, String> {
        let settings = &self.inner.settings;
        let configs: Vec<_> = missing.iter().map(|topic| topic.kind.config(settings.retention)).collect();
        // -1: the broker's default.
        let replication = settings.replication.map_or(-1, i32::from);
        let topics: Vec<NewTopic<'_>> = missing
            .iter()
            .zip(&configs)
            .map(|(topic, config)| {
                let of_origin = || topic.kind.origin().and_then(|origin| there.get(origin));
                let partitions = match settings.partitions {
                    Some(partitions) => i32::try_from(partitions).unwrap_or(i32::MAX),
                    None => of_origin().map_or(-1, |n| i32::try_from(*n).unwrap_or(i32::MAX)),
                };
                let new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(replication));
                config.iter().fold(new, |new, (key, value)| new.set(key, value))
            })
            .collect();
        let admin: AdminClient<DefaultClientContext> = self.inner.config.create().map_err(|e| e.to_string())?;
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        let answers = admin.create_topics(&topics, &options).await.map_err(|e| e.to_string())?;
        let mut result = Created::default();
        for answer in answers {
            match answer {
                Ok(name) => result.made.push(name),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => result.failed.push((name, code.to_string())),
            }
        }
        Ok(result)
    }

    /// The topics that are there, and how many partitions each has.
    async fn partitions(&self) -> Result<BTreeMap<String, usize>, String> {
        let config = self.inner.config.clone();
        let ask = move || {
            let client: BaseConsumer = config.create().map_err(|e| e.to_string())?;
            let metadata = client.fetch_metadata(None, TIMEOUT).map_err(|e| e.to_string())?;
            Ok(metadata.topics().iter().map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect())
        };
        tokio::task::spawn_blocking(ask).await.map_err(|e| e.to_string())?
    }
}

impl std::fmt::Debug for TopicAdmin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicAdmin").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_kept_for_twice_their_horizon_and_dead_letters_without_limit() {
        let retention = |kind: Kind, setting| {
            let config = kind.config(setting);
            config.into_iter().find(|(key, _)| *key == "retention.ms").map(|(_, value)| value)
        };
        let hours = |n: u64| Duration::from_secs(n * 60 * 60);
        let retry = |horizon| Kind::Retry { origin: "o".into(), horizon };
        assert_eq!(retention(retry(hours(48)), None).as_deref(), Some("345600000"));
        assert_eq!(retention(retry(hours(1)), Some(hours(1))).as_deref(), Some("86400000"), "a day at least");
        let dead = || Kind::DeadLetter { origin: "o".into() };
        assert_eq!(retention(dead(), None).as_deref(), Some("-1"));
        assert_eq!(retention(dead(), Some(hours(1))).as_deref(), Some("3600000"));
        assert_eq!(retention(Kind::Declared, None), None);
    }
}
