//! What `check` says of retry and dead letter topics that are there: made by somebody else, or left over. Blocks.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::metadata::Metadata;

use super::Services;
use crate::cli::Finding;
use crate::registry::{ResolvedConsumer, ResolvedTopic};
use crate::topic::names::{dead_letter_pattern, retry_pattern, topic_of_dead_letters};
use crate::topic::{RetryMode, RetrySettings};
use crate::topic_admin::{Kind, Wanted, complaints};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Looks at them; `None` where there are none.
pub(super) fn check(services: &Services, consumers: &[ResolvedConsumer], metadata: &Metadata) -> Option<Finding> {
    let (topics, mut warnings) = there(services, consumers, metadata);
    if topics.is_empty() && warnings.is_empty() {
        return None;
    }
    match services.asking_config().map_err(|e| e.to_string()).and_then(|config| describe(&config, &topics)) {
        Ok(configs) => {
            let retention = services.settings.topics.retention;
            for topic in &topics {
                let Some(config) = configs.get(&topic.name) else { continue };
                warnings.extend(complaints(topic, |key| config.get(key).cloned(), retention));
            }
        }
        Err(why) => warnings.push(format!(
            "how long retry and dead letter topics keep their messages is not known: {why}; let this account describe \
             topics' configurations (DescribeConfigs)"
        )),
    }
    Some(if warnings.is_empty() {
        Finding::Ok(format!("{} retry and dead letter topics are as they should be", topics.len()))
    } else {
        Finding::Warning(warnings.join("\n"))
    })
}

/// The derived topics that the broker has, and what nobody reads of them.
fn there(services: &Services, consumers: &[ResolvedConsumer], metadata: &Metadata) -> (Vec<Wanted>, Vec<String>) {
    let settings = &services.settings;
    let (mut topics, mut warnings) = (BTreeMap::new(), Vec::new());
    for consumer in consumers.iter().filter(|consumer| !consumer.is_tracker()) {
        for topic in &consumer.topics {
            let matching = |pattern: String| {
                let pattern = regex::Regex::new(&pattern).ok();
                let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
                names.filter(move |name| pattern.as_ref().is_some_and(|pattern| pattern.is_match(name)))
            };
            let retries = matching(retry_pattern(&consumer.group, &topic.name, &settings.retry_topic_suffix));
            match non_blocking(topic) {
                Some(retry) => topics.extend(
                    retries.map(|name| (name, Kind::Retry { origin: topic.name.clone(), horizon: retry.horizon() })),
                ),
                None => warnings.extend(retries.map(|name| {
                    format!(
                        "`{name}` is there, and nobody reads it: retries of `{}` do not leave their partition (any \
                         more). Delete it, or set `blocking = false` until it is empty",
                        topic.name
                    )
                })),
            }
            let suffix = &settings.dead_letter_topic_suffix;
            topics.extend(matching(dead_letter_pattern(&consumer.group, &topic.name, suffix)).filter_map(|name| {
                let origin = topic_of_dead_letters(&name, &consumer.group, suffix)?.to_owned();
                Some((name, Kind::DeadLetter { origin }))
            }));
        }
    }
    (topics.into_iter().map(|(name, kind)| Wanted { name, kind }).collect(), warnings)
}

fn non_blocking(topic: &ResolvedTopic) -> Option<RetrySettings> {
    topic.retry.filter(|retry| retry.mode == RetryMode::NonBlocking && retry.max_retries > 0)
}

type Configs = BTreeMap<String, BTreeMap<String, String>>;

/// The configuration of each topic.
fn describe(config: &ClientConfig, topics: &[Wanted]) -> Result<Configs, String> {
    if topics.is_empty() {
        return Ok(Configs::new());
    }
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(|e| e.to_string())?;
    let options = AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT));
    let asked: Vec<ResourceSpecifier<'_>> = topics.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
    let answers = tokio::runtime::Handle::current()
        .block_on(admin.describe_configs(&asked, &options))
        .map_err(|e| e.to_string())?;
    let mut configs = Configs::new();
    for answer in answers {
        let answer = answer.map_err(|e| e.to_string())?;
        if let OwnedResourceSpecifier::Topic(name) = answer.specifier {
            let entries = answer.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
            configs.insert(name, entries.collect());
        }
    }
    Ok(configs)
}
