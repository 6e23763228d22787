//! What start-up and `check` ask about the schemas of the declared topics.

use crate::registry::Registry;
use crate::schema_registry::{SchemaError, SchemaRegistry};
use crate::settings::Settings;
use crate::topic::names;

/// Topics that need a schema registry, where none is named: all of them, each with the remedy.
pub(super) fn without_registry(registry: &Registry) -> Vec<String> {
    let needing = registry.topics.iter().filter(|topic| topic.needs_schema_registry());
    needing
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
    for topic in registry.topics.iter().filter(|topic| topic.needs_schema_registry() && !topic.is_regex()) {
        let Ok(name) = names::substitute(topic.name, &settings.topic_variables, false) else { continue };
        match schemas.check(&name, topic).await {
            Ok(()) => {}
            Err(SchemaError::Wrong(why)) => {
                refused.push(format!("{}: topic `{}`: {why}", topic.location, topic.type_name));
            }
            Err(SchemaError::Away(why)) => return Err(why),
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(refused.join("\n")) }
}
