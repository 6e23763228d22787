//! What start-up and `check` ask about the schemas of the declared topics.

use crate::registry::Registry;
use crate::schema_registry::{SchemaError, SchemaRegistry};
use crate::settings::Settings;
use crate::topic::{TopicDeclaration, names};

/// Topics that need a schema registry: declared ones, and those that only a consumer names.
pub(super) fn needing(registry: &Registry) -> Vec<TopicDeclaration> {
    let consumed = registry.consumers.iter().flat_map(|consumer| consumer.topics).map(|entry| entry.declaration);
    let mut topics: Vec<TopicDeclaration> = Vec::new();
    for topic in registry.topics.iter().copied().chain(consumed).filter(TopicDeclaration::needs_schema_registry) {
        if topics.iter().all(|known| known.location != topic.location) {
            topics.push(topic);
        }
    }
    topics
}

/// Topics that need a schema registry, where none is named: all of them, each with the remedy.
pub(super) fn without_registry(registry: &Registry) -> Vec<String> {
    needing(registry)
        .into_iter()
        .map(|topic| {
            format!(
                "{}: topic `{}`: its messages are Avro, but no schema registry is named: set `url` in `[schema_registry]` \
                 of the settings, or DJANGO_KAFKA__SCHEMA_REGISTRY__URL",
                topic.location, topic.type_name
            )
        })
        .collect()
}

/// Asks the registry about each declared schema.
///
/// # Errors
/// All that it would not take, or that it does not answer.
pub(super) async fn refused(registry: &Registry, schemas: &SchemaRegistry, settings: &Settings) -> Result<(), String> {
    let mut refused = Vec::new();
    for topic in needing(registry).into_iter().filter(|topic| !topic.is_regex()) {
        let Ok(name) = names::substitute(topic.name, &settings.topic_variables, false) else { continue };
        match schemas.check(&name, &topic).await {
            Ok(()) => {}
            Err(SchemaError::Wrong(why)) => {
                refused.push(format!("{}: topic `{}`: {why}", topic.location, topic.type_name));
            }
            Err(SchemaError::Away(why)) => return Err(why),
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(refused.join("\n")) }
}
