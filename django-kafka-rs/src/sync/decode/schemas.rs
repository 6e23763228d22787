//! The schemas that messages carry, each parsed once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::format::FieldSchema;
use crate::format::debezium::ConnectSchema;

/// What a schema says of a row, or of a whole value.
#[derive(Debug, Default)]
pub(super) struct RowSchema {
    /// Of the value as a whole, for keys that are no object.
    pub(super) whole: FieldSchema,
    fields: HashMap<String, FieldSchema>,
    /// The rows of an envelope.
    before: Option<Arc<RowSchema>>,
    after: Option<Arc<RowSchema>>,
}

impl RowSchema {
    /// `None`: the text is no Connect schema.
    fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<ConnectSchema>(text).ok().filter(ConnectSchema::says_a_type).map(Self::of)
    }

    fn of(schema: ConnectSchema) -> Self {
        let mut row = Self::default();
        let (whole, fields) = schema.into_parts();
        row.whole = whole;
        for (name, field) in fields {
            match name.as_str() {
                "before" => row.before = Some(Arc::new(Self::of(field.clone()))),
                "after" => row.after = Some(Arc::new(Self::of(field.clone()))),
                _ => {}
            }
            row.fields.insert(name, field.into_parts().0);
        }
        row
    }

    pub(super) fn field(&self, name: &str) -> Option<&FieldSchema> {
        self.fields.get(name)
    }

    pub(super) fn before(&self) -> Option<Arc<Self>> {
        self.before.clone()
    }

    pub(super) fn after(&self) -> Option<Arc<Self>> {
        self.after.clone()
    }
}

/// The schemas seen, by their text. A topic has few at a time: one of keys and one of values, two while they change.
#[derive(Default)]
pub struct SchemaCache {
    seen: RwLock<Vec<(Box<str>, Arc<RowSchema>)>>,
}

impl SchemaCache {
    /// How many it keeps; the oldest goes first.
    const ENTRIES_MAX: usize = 64;

    /// The parsed schema; `None`: the text is no Connect schema.
    pub(super) fn get(&self, text: &str) -> Option<Arc<RowSchema>> {
        // Texts of different lengths differ at once, and equal ones compare at the speed of memory: no hash is faster.
        // A poisoned lock is used as it is: entries are complete before they are pushed.
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, schema)) = seen.iter().rev().find(|(known, _)| **known == *text) {
            return Some(schema.clone());
        }
        drop(seen);
        let schema = Arc::new(RowSchema::parse(text)?);
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= Self::ENTRIES_MAX {
            seen.remove(0);
        }
        seen.push((text.into(), schema.clone()));
        Some(schema)
    }
}

impl fmt::Debug for SchemaCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_bounded_and_parses_once() {
        let cache = SchemaCache::default();
        let text = |n: usize| {
            format!(
                r#"{{"type":"struct","fields":[{{"type":"int32","name":"io.debezium.time.Date","field":"f{n}"}}]}}"#
            )
        };
        for n in 0..SchemaCache::ENTRIES_MAX * 2 {
            let schema = cache.get(&text(n)).unwrap();
            assert!(Arc::ptr_eq(&schema, &cache.get(&text(n)).unwrap()));
            assert_eq!(schema.field(&format!("f{n}")).unwrap().name.as_deref(), Some("io.debezium.time.Date"));
        }
        assert_eq!(cache.seen.read().unwrap().len(), SchemaCache::ENTRIES_MAX);
        assert!(cache.get("{}").is_none() && cache.get("1").is_none());
    }
}
