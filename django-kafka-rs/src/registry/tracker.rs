//! The key offset tracker among the consumers: which topics it follows, under which group. Pure.

use std::any::TypeId;

use super::Registry;
use super::resolve::{ResolvedConsumer, ResolvedTopic};
use crate::consumer::{Consumer as _, TopicEntry};
use crate::key_offset_tracker::{KeyOffsetTracker, NAME};
use crate::producer::Suppression;
use crate::settings::Settings;
use crate::topic::{HandlerSource, names};

/// The tracker, where a topic of the consumers uses it.
pub(super) fn resolve(
    registry: &Registry,
    settings: &Settings,
    consumers: &[ResolvedConsumer],
    mistakes: &mut Vec<String>,
) -> Option<ResolvedConsumer> {
    if let Some(other) = consumers.iter().find(|consumer| consumer.declaration.type_name == NAME) {
        let place = other.declaration.location;
        mistakes.push(format!("{place}: consumer `{NAME}`: the key offset tracker has this name; choose another"));
    }
    let (topics, groups) = tracked(consumers);
    if topics.is_empty() {
        return None;
    }
    let group = registry.tracker_group.as_ref().or(settings.key_offset_tracker.group_id.as_ref());
    let Some(group) = group else {
        mistakes.push(not_enabled(&topics));
        return None;
    };
    let resolved = names::substitute(group, &settings.topic_variables, false)
        .and_then(|group| names::validate_group(&group).map(|()| group));
    let group = match resolved {
        Ok(group) => group,
        Err(error) => {
            mistakes.push(format!("the key offset tracker's group (`key_offset_tracker.group_id`): {error}"));
            return None;
        }
    };
    if let Some(other) =
        consumers.iter().find(|other| other.group == group || format!("{}.retry", other.group) == group)
    {
        let (place, name) = (other.declaration.location, other.declaration.type_name);
        mistakes.push(format!(
            "the key offset tracker's group `{group}` (`key_offset_tracker.group_id`) is that of consumer `{name}` \
             ({place}): it needs one of its own, or each of the two would read a part of the messages only"
        ));
    }
    Some(ResolvedConsumer {
        declaration: KeyOffsetTracker::DECLARATION,
        group,
        topics,
        suppression: Suppression::none(),
        tracked_groups: groups,
    })
}

/// The topics whose retry settings use the tracker, each once, and the groups that consume them.
fn tracked(consumers: &[ResolvedConsumer]) -> (Vec<ResolvedTopic>, Vec<String>) {
    let (mut topics, mut groups) = (Vec::<ResolvedTopic>::new(), Vec::new());
    for consumer in consumers {
        let uses = |topic: &&ResolvedTopic| topic.retry.is_some_and(|retry| retry.use_offset_tracker);
        for topic in consumer.topics.iter().filter(uses) {
            if !groups.contains(&consumer.group) {
                groups.push(consumer.group.clone());
            }
            if topics.iter().any(|known| known.name == topic.name) {
                continue;
            }
            let entry = TopicEntry {
                declaration: topic.entry.declaration,
                handler: || HandlerSource::KeyOffsets,
                type_id: TypeId::of::<KeyOffsetTracker>,
            };
            topics.push(ResolvedTopic { entry, name: topic.name.clone(), retry: None });
        }
    }
    (topics, groups)
}

fn not_enabled(topics: &[ResolvedTopic]) -> String {
    let declared = topics.iter().map(|topic| topic.entry.declaration);
    let using: Vec<String> = declared.map(|topic| format!("`{}` ({})", topic.type_name, topic.location)).collect();
    format!(
        "retries use the key offset tracker (`use_offset_tracker`), and nothing enables it: set `group_id` in \
         `[key_offset_tracker]` of the settings, or write `App::from_linked().consumer({NAME}::enable(\"…\"))`, or \
         leave `use_offset_tracker` out. Topics: {}",
        using.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::resolve;
    use super::*;
    use crate::consumer::ConsumerDeclaration;
    use crate::topic::{Location, RetrySettings, TopicDeclaration};

    const fn at(line: u32) -> Location {
        Location { file: "src/main.rs", line }
    }

    const fn entry(declaration: TopicDeclaration) -> TopicEntry {
        TopicEntry { declaration, handler: || HandlerSource::Custom(|| None), type_id: TypeId::of::<()> }
    }

    const RETRY: RetrySettings = RetrySettings::new(-1).use_offset_tracker(true);
    const ORDERS: TopicEntry = entry(TopicDeclaration::new("Orders", "${prefix}.orders", at(1)).retry(RETRY));
    const EVENTS: TopicEntry = entry(TopicDeclaration::new("Events", "^events\\..*", at(2)).retry(RETRY));
    const PLAIN: TopicEntry = entry(TopicDeclaration::new("Plain", "plain", at(3)));

    fn check(group_in_code: Option<&str>, group_in_settings: Option<&str>, expected: &Expect) {
        let mut settings = Settings::default();
        settings.topic_variables.insert("prefix".into(), "shop".into());
        settings.key_offset_tracker.group_id = group_in_settings.map(str::to_owned);
        let consumers = vec![
            ConsumerDeclaration::new("Crm", "crm", &[ORDERS, PLAIN], at(8)),
            ConsumerDeclaration::new("Audit", "audit", &[ORDERS, EVENTS], at(9)),
        ];
        let registry = Registry { consumers, tracker_group: group_in_code.map(str::to_owned), ..Registry::default() };
        let text = match resolve(&registry, &settings) {
            Ok(consumers) => consumers
                .iter()
                .map(|c| {
                    let topics: Vec<_> = c.topics.iter().map(|topic| topic.name.as_str()).collect();
                    format!("{} ({}): {}", c.declaration.type_name, c.group, topics.join(", "))
                })
                .collect::<Vec<_>>()
                .join("\n"),
            Err(mistakes) => mistakes.join("\n"),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn it_is_a_consumer_of_each_topic_that_uses_it_once() {
        let expected = expect![[r"
            Crm (crm): shop.orders, plain
            Audit (audit): shop.orders, ^events\..*
            KeyOffsetTracker (shop-offsets): shop.orders, ^events\..*"]];
        check(None, Some("${prefix}-offsets"), &expected);
        check(Some("${prefix}-offsets"), Some("other"), &expected);
    }

    #[test]
    fn using_it_without_enabling_it_names_the_remedy() {
        check(
            None,
            None,
            &expect![[
                r#"retries use the key offset tracker (`use_offset_tracker`), and nothing enables it: set `group_id` in `[key_offset_tracker]` of the settings, or write `App::from_linked().consumer(KeyOffsetTracker::enable("…"))`, or leave `use_offset_tracker` out. Topics: `Orders` (src/main.rs:1), `Events` (src/main.rs:2)"#
            ]],
        );
    }

    #[test]
    fn its_group_is_its_own() {
        check(
            None,
            Some("crm"),
            &expect![
                "the key offset tracker's group `crm` (`key_offset_tracker.group_id`) is that of consumer `Crm` (src/main.rs:8): it needs one of its own, or each of the two would read a part of the messages only"
            ],
        );
        check(
            None,
            Some("audit.retry"),
            &expect![
                "the key offset tracker's group `audit.retry` (`key_offset_tracker.group_id`) is that of consumer `Audit` (src/main.rs:9): it needs one of its own, or each of the two would read a part of the messages only"
            ],
        );
        check(
            Some("a b"),
            None,
            &expect![
                "the key offset tracker's group (`key_offset_tracker.group_id`): `a b` has ' ' at position 2; a name may contain only letters, digits, '.', '_' and '-'"
            ],
        );
    }
}
