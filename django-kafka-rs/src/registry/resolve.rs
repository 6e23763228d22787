//! What only start-up can know of the declarations: names after substitution, derived names, what is not built yet.
//! Pure; all mistakes at once, each with the place of its declaration.

use std::collections::HashMap;

use super::Registry;
use crate::consumer::{ConsumerDeclaration, SuppressedTopics, TopicEntry};
use crate::producer::Suppression;
use crate::settings::Settings;
use crate::topic::names::{self, DerivedNames, Suffixes, derived_name_conflicts, own_topics_pattern};
use crate::topic::{HandlerSource, RetryMode, RetrySettings};
use crate::topic_admin::{Kind, Wanted};

/// A consumer whose names are known.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedConsumer {
    pub(crate) declaration: ConsumerDeclaration,
    pub(crate) group: String,
    pub(crate) topics: Vec<ResolvedTopic>,
    /// What it does not produce while it handles messages.
    pub(crate) suppression: Suppression,
    /// Of the key offset tracker: the groups whose topics it follows. Empty for a consumer as declared.
    pub(crate) tracked_groups: Vec<String>,
}

/// A topic of a consumer whose name is known.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedTopic {
    pub(crate) entry: TopicEntry,
    /// The name, or the pattern where it begins with `^`.
    pub(crate) name: String,
    /// Its own retry settings, or those of the settings.
    pub(crate) retry: Option<RetrySettings>,
}

impl ResolvedConsumer {
    /// The retry topics of its topics with one name. Those of a pattern are known when a message of theirs fails.
    pub(crate) fn retry_topics(&self, suffixes: Suffixes<'_>) -> Vec<Wanted> {
        let mut found = Vec::new();
        for topic in self.topics.iter().filter(|topic| !topic.name.starts_with('^')) {
            let Some(retry) = topic.retry.filter(|retry| retry.mode == RetryMode::NonBlocking) else { continue };
            let last = u32::try_from(retry.max_retries).unwrap_or(0);
            let names = DerivedNames { group: &self.group, topic: &topic.name, suffixes };
            found.extend((1..=last).map(|n| Wanted {
                name: names.retry_topic(n),
                kind: Kind::Retry { origin: topic.name.clone(), horizon: retry.horizon() },
            }));
        }
        found
    }

    /// The dead letter topics of its topics with one name.
    pub(crate) fn dead_letter_topics(&self, suffixes: Suffixes<'_>) -> Vec<Wanted> {
        // Nothing fails in the key offset tracker.
        let exact = self.topics.iter().filter(|topic| !topic.name.starts_with('^') && !self.is_tracker());
        exact
            .map(|topic| Wanted {
                name: DerivedNames { group: &self.group, topic: &topic.name, suffixes }.dead_letter_topic(),
                kind: Kind::DeadLetter { origin: topic.name.clone() },
            })
            .collect()
    }
}

impl ResolvedConsumer {
    /// Whether it is the key offset tracker.
    pub(crate) fn is_tracker(&self) -> bool {
        !self.tracked_groups.is_empty()
    }

    /// What its patterns pass over: the retry and dead letter topics of its own group, or of those that it follows. A
    /// list for `topic.blacklist`.
    pub(crate) fn passed_over(&self, suffixes: Suffixes<'_>) -> String {
        let own = std::slice::from_ref(&self.group);
        let groups = if self.is_tracker() { &self.tracked_groups } else { own };
        groups.iter().map(|group| own_topics_pattern(group, suffixes)).collect::<Vec<_>>().join(",")
    }
}

impl ResolvedTopic {
    /// Whether its messages become rows.
    pub(crate) fn is_model(&self) -> bool {
        matches!((self.entry.handler)(), HandlerSource::Models(_))
    }
}

/// Resolves the consumers, or says everything that is wrong with them.
pub(crate) fn resolve(registry: &Registry, settings: &Settings) -> Result<Vec<ResolvedConsumer>, Vec<String>> {
    let mut mistakes = Vec::new();
    if registry.consumers.is_empty() {
        mistakes.push(nothing_registered(registry));
    }
    for topic in &registry.topics {
        if let Err(mistake) = resolve_name(topic.name, settings) {
            mistakes.push(format!("{}: topic `{}`: {mistake}", topic.location, topic.type_name));
        }
    }
    let consumers: Vec<_> = registry
        .consumers
        .iter()
        .filter_map(|declaration| resolve_consumer(declaration, settings, &mut mistakes))
        .collect();
    duplicate_names(&consumers, &mut mistakes);
    divided_topics(&consumers, &mut mistakes);
    let declared = consumers.iter().flat_map(|consumer| {
        consumer
            .topics
            .iter()
            .filter(|topic| !topic.entry.declaration.is_regex())
            .map(|topic| (consumer.group.as_str(), topic.name.as_str(), topic.entry.declaration.location))
    });
    mistakes.extend(derived_name_conflicts(declared, settings.suffixes()));
    let tracker = super::tracker::resolve(registry, settings, &consumers, &mut mistakes);
    // A topic in several consumers, or both linked and consumed, is said once.
    let mut seen = std::collections::HashSet::new();
    mistakes.retain(|mistake| seen.insert(mistake.clone()));
    if mistakes.is_empty() { Ok(consumers.into_iter().chain(tracker).collect()) } else { Err(mistakes) }
}

fn nothing_registered(registry: &Registry) -> String {
    if registry.topics.is_empty() {
        "nothing is declared in this program: no `#[consumer]` was linked into it. Where the consumers are in another \
         crate, name that crate once, or the linker leaves it out: `use my_models as _;`"
            .to_owned()
    } else {
        "topics are declared, but no consumer takes them: write `#[consumer(group = \"…\", topics(…))] struct …;`. \
         Where the consumers are in another crate, name that crate once, or the linker leaves it out: \
         `use my_models as _;`"
            .to_owned()
    }
}

fn resolve_consumer(
    declaration: &ConsumerDeclaration,
    settings: &Settings,
    mistakes: &mut Vec<String>,
) -> Option<ResolvedConsumer> {
    let place = format!("{}: consumer `{}`", declaration.location, declaration.type_name);
    let group = names::substitute(declaration.group, &settings.topic_variables, false)
        .and_then(|group| names::validate_group(&group).map(|()| group));
    let group = match group {
        Ok(group) => group,
        Err(error) => {
            mistakes.push(format!("{place}: group: {error}"));
            return None;
        }
    };
    let mut topics: Vec<ResolvedTopic> = Vec::new();
    for entry in declaration.topics {
        let topic = match resolve_topic(entry, &group, settings) {
            Ok(topic) => topic,
            Err(mistake) => {
                let declared = entry.declaration;
                mistakes.push(format!("{}: topic `{}`: {mistake}", declared.location, declared.type_name));
                continue;
            }
        };
        if let Some(first) = topics.iter().find(|first| first.name == topic.name) {
            mistakes.push(format!(
                "{place}: the topics `{}` and `{}` have the same name, `{}`: a message can have one handler only",
                first.entry.declaration.type_name, topic.entry.declaration.type_name, topic.name
            ));
        }
        topics.push(topic);
    }
    let suppression = suppression(&declaration.suppress, settings).unwrap_or_else(|mistake| {
        mistakes.push(format!("{place}: suppress: {mistake}"));
        Suppression::none()
    });
    Some(ResolvedConsumer { declaration: *declaration, group, topics, suppression, tracked_groups: Vec::new() })
}

fn suppression(declared: &SuppressedTopics, settings: &Settings) -> Result<Suppression, String> {
    match declared {
        SuppressedTopics::None => Ok(Suppression::none()),
        SuppressedTopics::All => Ok(Suppression::all()),
        SuppressedTopics::Named(names) => {
            let names: Vec<String> = names.iter().map(|name| resolve_name(name, settings)).collect::<Result<_, _>>()?;
            Ok(Suppression::of(names))
        }
    }
}

fn resolve_topic(entry: &TopicEntry, group: &str, settings: &Settings) -> Result<ResolvedTopic, String> {
    let declared = entry.declaration;
    let name = match declared.reproduces {
        Some(source) => resolve_name(&source.topic(settings.reproducer_config.namespace.as_deref()), settings)?,
        None => resolve_name(declared.name, settings)?,
    };
    let retry = declared.retry.or(settings.retry_settings);
    if !declared.is_regex() {
        let names = DerivedNames { group, topic: &name, suffixes: settings.suffixes() };
        let retries = retry.filter(|retry| retry.mode == RetryMode::NonBlocking).map_or(0, |retry| retry.max_retries);
        let retries = u32::try_from(retries).map_err(|_| {
            "endless retries (`max_retries = -1`) cannot be non-blocking: there would be no last retry topic; give a \
             number, or leave `blocking = false` out"
                .to_owned()
        })?;
        names.validate(retries).map_err(|e| format!("its retry and dead letter topics: {e}"))?;
    }
    Ok(ResolvedTopic { entry: *entry, name, retry })
}

fn resolve_name(template: &str, settings: &Settings) -> Result<String, String> {
    let is_regex = template.starts_with('^');
    let name = names::substitute(template, &settings.topic_variables, is_regex).map_err(|e| e.to_string())?;
    if is_regex {
        regex::Regex::new(&name).map_err(|e| format!("the pattern `{name}` does not compile: {e}"))?;
    } else {
        names::validate(&name).map_err(|e| e.to_string())?;
    }
    Ok(name)
}

/// Two consumers of one group share its partitions: what both take is handled by either, and not by both.
fn divided_topics(consumers: &[ResolvedConsumer], mistakes: &mut Vec<String>) {
    let mut first: HashMap<(&str, &str), (&ResolvedConsumer, &ResolvedTopic)> = HashMap::new();
    for consumer in consumers {
        for topic in &consumer.topics {
            let taken = first.entry((&consumer.group, &topic.name)).or_insert((consumer, topic));
            let (other, other_topic) = *taken;
            let is_same = other.declaration.type_name == consumer.declaration.type_name
                || (other_topic.entry.type_id)() == (topic.entry.type_id)();
            if !is_same {
                mistakes.push(format!(
                    "{}: consumer `{}` takes `{}` as `{}`, and consumer `{}` ({}) of the same group `{}` as `{}`: each \
                     message would come to one of them, by chance; give one of them a group of its own",
                    consumer.declaration.location,
                    consumer.declaration.type_name,
                    topic.name,
                    topic.entry.declaration.type_name,
                    other.declaration.type_name,
                    other.declaration.location,
                    consumer.group,
                    other_topic.entry.declaration.type_name,
                ));
            }
        }
    }
}

/// `consume NAME` must mean one consumer.
fn duplicate_names(consumers: &[ResolvedConsumer], mistakes: &mut Vec<String>) {
    let mut first: HashMap<&str, &ResolvedConsumer> = HashMap::new();
    for consumer in consumers {
        let declaration = &consumer.declaration;
        if let Some(other) = first.insert(declaration.type_name, consumer) {
            mistakes.push(format!(
                "{}: consumer `{}`: another consumer of this name is declared at {}; rename one, since `consume {1}` \
                 would mean both",
                declaration.location, declaration.type_name, other.declaration.location
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::consumer::TopicEntry;
    use crate::topic::{Location, TopicDeclaration};

    const fn at(line: u32) -> Location {
        Location { file: "src/main.rs", line }
    }

    const fn entry(declaration: TopicDeclaration) -> TopicEntry {
        TopicEntry { declaration, handler: || HandlerSource::Custom(|| None), type_id: std::any::TypeId::of::<()> }
    }

    const ORDERS: TopicEntry = entry(TopicDeclaration::new("Order", "${prefix}.orders", at(1)));
    const SAME: TopicEntry = entry(TopicDeclaration::new("Same", "shop.orders", at(2)));
    const OWN: TopicEntry = entry(TopicDeclaration::new("Own", "crm.shop.orders.dlt", at(3)));
    const RETRIED: TopicEntry =
        entry(TopicDeclaration::new("Retried", "retried", at(4)).retry(RetrySettings::new(1).blocking(false)));

    fn check(group: &'static str, topics: &'static [TopicEntry], expected: &Expect) {
        let mut settings = Settings::default();
        settings.topic_variables.insert("prefix".into(), "shop".into());
        let registry =
            Registry { consumers: vec![ConsumerDeclaration::new("Crm", group, topics, at(9))], ..Registry::default() };
        let text = match resolve(&registry, &settings) {
            Ok(consumers) => consumers
                .iter()
                .flat_map(|c| c.topics.iter().map(|t| format!("{}: {}", c.group, t.name)))
                .collect::<Vec<_>>()
                .join("\n"),
            Err(mistakes) => mistakes.join("\n"),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn fills_in_variables() {
        check("${prefix}-crm", &[ORDERS], &expect!["shop-crm: shop.orders"]);
    }

    #[test]
    fn says_all_mistakes_with_their_places() {
        check(
            "crm",
            &[ORDERS, SAME, OWN, RETRIED],
            &expect![[r#"
                src/main.rs:9: consumer `Crm`: the topics `Order` and `Same` have the same name, `shop.orders`: a message can have one handler only
                src/main.rs:3: topic `crm.shop.orders.dlt` looks like a retry or dead letter topic of group `crm`, which this program fills itself: consume it under another group, or change `retry_topic_suffix` or `dead_letter_topic_suffix` in the settings"#]],
        );
        check(
            "c r m",
            &[ORDERS],
            &expect![
                "src/main.rs:9: consumer `Crm`: group: `c r m` has ' ' at position 2; a name may contain only letters, digits, '.', '_' and '-'"
            ],
        );
    }

    #[test]
    fn consumers_of_one_group_share_topics_of_one_type_only() {
        const OTHER: TopicEntry = TopicEntry {
            type_id: std::any::TypeId::of::<u8>,
            ..entry(TopicDeclaration::new("Other", "shop.orders", at(5)))
        };
        let mut settings = Settings::default();
        settings.topic_variables.insert("prefix".into(), "shop".into());
        let consumers = vec![
            ConsumerDeclaration::new("A", "crm", &[ORDERS], at(8)),
            ConsumerDeclaration::new("B", "crm", &[ORDERS, RETRIED], at(9)),
            ConsumerDeclaration::new("C", "crm", &[OTHER], at(10)),
            ConsumerDeclaration::new("D", "other", &[OTHER], at(11)),
        ];
        let mistakes = resolve(&Registry { consumers, ..Registry::default() }, &settings).unwrap_err();
        expect!["src/main.rs:10: consumer `C` takes `shop.orders` as `Other`, and consumer `A` (src/main.rs:8) of the same group `crm` as `Order`: each message would come to one of them, by chance; give one of them a group of its own"].assert_eq(&mistakes.join("\n"));
    }

    #[test]
    fn an_empty_registry_names_the_cure() {
        let mistakes = resolve(&Registry::default(), &Settings::default()).unwrap_err();
        assert!(mistakes[0].contains("use my_models as _;"), "{mistakes:?}");
    }
}
