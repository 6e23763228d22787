//! Creating topics: retry and dead letter topics before their first message, and what `topics --create` asks for.
//!
//! A broker that creates topics by itself gives them its default retention, by which a dead letter would be gone
//! after a week. So the topics are created here first; where that is not allowed, the first message is left to the
//! broker's own creation, with a warning.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::Mutex;

use crate::embedded::EmbeddedBroker;
use crate::settings::TopicSettings;

/// How long a broker may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Retry topics keep their messages at least this long: a consumer that is down for a day must find them.
const RETRY_RETENTION_MIN: Duration = Duration::from_secs(24 * 60 * 60);
/// The largest message that a consumer takes by default, and the headers that we add (see `producer`).
const MESSAGE_BYTES_MAX: &str = "100065536";

/// How long the retry topics that we create keep their messages, which are tried again for as long as `horizon`.
pub(crate) fn retry_retention(horizon: Duration) -> Duration {
    horizon.saturating_mul(2).max(RETRY_RETENTION_MIN)
}

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
                ("retention.ms", ms(retry_retention(*horizon))),
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

/// What is amiss with a retry or dead letter topic that somebody else has made. Pure; `value` is the topic's
/// configuration, `retention` the setting's.
pub(crate) fn complaints(
    topic: &Wanted,
    value: impl Fn(&str) -> Option<String>,
    retention: Option<Duration>,
) -> Vec<String> {
    let name = &topic.name;
    let (kept_min, removes) = match &topic.kind {
        Kind::Declared => return Vec::new(),
        Kind::Retry { horizon, .. } => (Some(horizon.saturating_mul(2)), "a retry removes earlier ones"),
        Kind::DeadLetter { .. } => (retention, "a letter removes earlier ones"),
    };
    let mut found = Vec::new();
    if value("cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
        found
            .push(format!("`{name}` is compacted, so that {removes} of its key: set its `cleanup.policy` to `delete`"));
    }
    // Negative: without limit.
    let kept = value("retention.ms").and_then(|ms| ms.parse::<u64>().ok()).map(Duration::from_millis);
    let shown = |duration: Duration| humantime::format_duration(Duration::from_secs(duration.as_secs()));
    match (kept, kept_min) {
        (Some(kept), Some(min)) if kept < min => found.push(format!(
            "`{name}` keeps its messages for {}, and {} are needed: set its `retention.ms` to {} or more",
            shown(kept),
            shown(min),
            min.as_millis()
        )),
        (Some(kept), None) => found.push(format!(
            "`{name}` keeps its letters for {} only: set its `retention.ms` to -1, or say by `topics.retention` how long \
             they are needed",
            shown(kept)
        )),
        _ => {}
    }
    if let Some(bytes) = value("retention.bytes").and_then(|bytes| bytes.parse::<u64>().ok()) {
        found.push(format!(
            "`{name}` drops its oldest messages beyond {bytes} bytes a partition: set its `retention.bytes` to -1"
        ));
    }
    found
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
    /// How often in a row a request to create topics was not answered.
    unanswered: AtomicU32,
}

/// What came of creating topics.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Created {
    /// Topics that were not there before.
    pub(crate) made: Vec<String>,
    /// Topics that cannot be created, each with the reason.
    pub(crate) failed: Vec<(String, String)>,
    /// Topics that are not there because the broker is away or not ready: it is worth asking again.
    pub(crate) not_yet: Vec<(String, String)>,
}

impl TopicAdmin {
    /// `config`: of a client that only asks.
    pub(crate) fn new(config: ClientConfig, embedded: Option<Arc<EmbeddedBroker>>, settings: TopicSettings) -> Self {
        Self {
            inner: Arc::new(Inner {
                config,
                embedded,
                settings,
                known: Mutex::default(),
                unanswered: AtomicU32::new(0),
            }),
        }
    }

    /// Sees to it that these topics are there before the first message is sent to them. What may not be created is
    /// said once, and left to the broker.
    ///
    /// # Errors
    /// The broker is away, or not ready yet: it has to be asked again, before the first message makes it create the
    /// topic by itself.
    pub(crate) async fn ensure(&self, wanted: &[Wanted]) -> Result<(), String> {
        let mut known = self.inner.known.lock().await;
        let unknown: Vec<Wanted> = wanted.iter().filter(|topic| !known.contains(&topic.name)).cloned().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let mut result = self.create(&unknown).await;
        let not_yet = result.not_yet.pop();
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
        let again: HashSet<String> =
            result.not_yet.into_iter().chain(not_yet.clone()).map(|(topic, _)| topic).collect();
        known.extend(unknown.into_iter().map(|topic| topic.name).filter(|topic| !again.contains(topic)));
        not_yet.map_or(Ok(()), |(topic, reason)| Err(format!("topic `{topic}`: {reason}")))
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
            let not_yet = wanted.iter().map(|topic| (topic.name.clone(), reason.clone())).collect();
            Created { not_yet, ..Created::default() }
        };
        let there = match self.partitions().await {
            Ok(there) => there,
            Err(reason) => return all(reason),
        };
        let missing = missing(wanted, &there);
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
        let answers = match admin.create_topics(&topics, &options).await {
            Ok(answers) => answers,
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut) => {
                return Ok(self.unanswered(missing, &error));
            }
            Err(error) => return Err(error.to_string()),
        };
        self.inner.unanswered.store(0, Ordering::Relaxed);
        let mut result = Created::default();
        for answer in answers {
            match answer {
                Ok(name) => result.made.push(name),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) if passes(code, settings.replication) => {
                    result.not_yet.push((name, code.to_string()));
                }
                Err((name, code)) => result.failed.push((name, code.to_string())),
            }
        }
        Ok(result)
    }

    /// A cluster that answers everything else, and not this: one that starts or elects, or one that never will, as
    /// brokers made for tests.
    fn unanswered(&self, missing: &[&Wanted], error: &KafkaError) -> Created {
        let topics = missing.iter().map(|topic| (topic.name.clone(), error.to_string())).collect();
        if self.inner.unanswered.fetch_add(1, Ordering::Relaxed) + 1 < UNANSWERED_MAX {
            Created { not_yet: topics, ..Created::default() }
        } else {
            Created { failed: topics, ..Created::default() }
        }
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

/// Pure: each topic that is not there, once. A batch wants a topic for each of its messages, and a broker refuses a
/// request which names one twice.
fn missing<'w>(wanted: &'w [Wanted], there: &BTreeMap<String, usize>) -> Vec<&'w Wanted> {
    let mut seen = HashSet::new();
    wanted.iter().filter(|topic| !there.contains_key(&topic.name) && seen.insert(&topic.name)).collect()
}

/// How often in a row a request may be unanswered before the topics are left to the broker.
const UNANSWERED_MAX: u32 = 2;

/// Whether a refusal passes by itself: brokers that start or stop, and clusters that elect.
fn passes(code: RDKafkaErrorCode, replication: Option<u16>) -> bool {
    use RDKafkaErrorCode as Code;
    match code {
        // The broker's own default is too much only while brokers are missing; ours may be a mistake.
        Code::InvalidReplicationFactor => replication.is_none(),
        Code::NotController
        | Code::BrokerNotAvailable
        | Code::LeaderNotAvailable
        | Code::NetworkException
        | Code::RequestTimedOut
        | Code::OperationTimedOut
        | Code::BrokerTransportFailure
        | Code::ThrottlingQuotaExceeded
        | Code::Unknown => true,
        _ => false,
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
    fn topics_that_lose_what_they_are_for_are_complained_of() {
        let day = Duration::from_secs(24 * 60 * 60);
        let check = |kind: Kind, config: &[(&str, &str)], retention, expected: expect_test::Expect| {
            let topic = Wanted { name: "crm.orders.x".into(), kind };
            let value = |key: &str| config.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
            expected.assert_eq(&complaints(&topic, value, retention).join("\n"));
        };
        let retry = || Kind::Retry { origin: "orders".into(), horizon: day };
        let dead = || Kind::DeadLetter { origin: "orders".into() };
        let week = ("retention.ms", "604800000");
        let unlimited = ("retention.bytes", "-1");
        check(retry(), &[week, unlimited, ("cleanup.policy", "delete")], None, expect_test::expect![""]);
        check(
            retry(),
            &[("retention.ms", "86400000"), ("retention.bytes", "1000"), ("cleanup.policy", "compact,delete")],
            None,
            expect_test::expect![[r#"
                `crm.orders.x` is compacted, so that a retry removes earlier ones of its key: set its `cleanup.policy` to `delete`
                `crm.orders.x` keeps its messages for 1day, and 2days are needed: set its `retention.ms` to 172800000 or more
                `crm.orders.x` drops its oldest messages beyond 1000 bytes a partition: set its `retention.bytes` to -1"#]],
        );
        check(dead(), &[("retention.ms", "-1"), unlimited], None, expect_test::expect![""]);
        check(
            dead(),
            &[week, ("cleanup.policy", "compact")],
            None,
            expect_test::expect![[r#"
            `crm.orders.x` is compacted, so that a letter removes earlier ones of its key: set its `cleanup.policy` to `delete`
            `crm.orders.x` keeps its letters for 7days only: set its `retention.ms` to -1, or say by `topics.retention` how long they are needed"#]],
        );
        check(dead(), &[week], Some(7 * day), expect_test::expect![""]);
        check(
            dead(),
            &[week],
            Some(30 * day),
            expect_test::expect![
                "`crm.orders.x` keeps its messages for 7days, and 30days are needed: set its `retention.ms` to 2592000000 or more"
            ],
        );
        check(Kind::Declared, &[("cleanup.policy", "compact")], None, expect_test::expect![""]);
    }

    #[test]
    fn a_topic_that_several_messages_want_is_asked_for_once() {
        let topic = |name: &str| Wanted { name: name.into(), kind: Kind::DeadLetter { origin: "o".into() } };
        let wanted = [topic("a"), topic("b"), topic("a"), topic("c")];
        let names: Vec<&str> = missing(&wanted, &BTreeMap::from([("b".into(), 1)])).iter().map(|t| &*t.name).collect();
        assert_eq!(names, ["a", "c"]);
    }

    #[test]
    fn a_broker_that_starts_or_stops_is_asked_again() {
        use RDKafkaErrorCode as Code;
        assert!(passes(Code::InvalidReplicationFactor, None), "no broker is left that could have a replica");
        assert!(!passes(Code::InvalidReplicationFactor, Some(3)), "the setting asks for more brokers than there are");
        assert!(passes(Code::NotController, Some(3)));
        assert!(!passes(Code::TopicAuthorizationFailed, None));
        assert!(!passes(Code::PolicyViolation, None));
    }

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
