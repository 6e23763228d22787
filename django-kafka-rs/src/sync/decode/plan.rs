//! How a topic's messages are read for one model: the options of both joined, names resolved.

use std::sync::Arc;

use super::schemas::SchemaCache;
use crate::sync::model::{
    ColumnDescriptor, ColumnSet, Dialect, Envelope, IsDeletion, LookupField, LookupWith, ModelDescriptor, ModelTopic,
};

/// The field by which Debezium's `ExtractNewRecordState` marks the row of a deletion.
const DEBEZIUM_DELETED_FIELD: &str = "__deleted";

/// How a topic's messages are to be read for one model: options of topic and model already joined, names resolved.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct ReadPlan {
    /// Whose conventions.
    pub dialect: Dialect,
    /// `envelope`.
    pub envelope: Envelope,
    /// `exclude(…)`.
    pub exclude: Vec<&'static str>,
    /// The lookup's columns, each with whether the whole key is its value.
    pub lookup: Vec<(usize, bool)>,
    /// `lookup_with`.
    pub lookup_with: Option<LookupWith>,
    /// `is_deletion`.
    pub is_deletion: Option<IsDeletion>,
    /// `deleted_field`; Debezium's `__deleted` where nothing is said and the dialect is Debezium's.
    pub deleted_field: Option<&'static str>,
    /// The model's columns, for messages.
    pub columns: &'static [ColumnDescriptor],
    /// The table, for messages.
    pub table: &'static str,
    /// The schemas that its messages carried; shared by the plan's clones.
    pub schemas: Arc<SchemaCache>,
}

impl ReadPlan {
    /// The plan of a topic for one of its models. What the topic says goes before what the model says; `exclude` adds
    /// up.
    ///
    /// # Errors
    /// A lookup names a field that the model does not have, or the topic's conventions know no envelopes.
    pub fn new(topic: &ModelTopic, model: &'static ModelDescriptor) -> Result<Self, String> {
        let (ours, models) = (&topic.options, &model.options);
        let (lookup, lookup_with) = match (ours.lookup, ours.lookup_with) {
            (None, None) => (models.lookup, models.lookup_with),
            said => said,
        };
        let debezium = topic.dialect == Dialect::Debezium;
        Ok(Self {
            dialect: topic.dialect,
            envelope: envelope(topic, ours.envelope.or(models.envelope))?,
            exclude: [ours.exclude, models.exclude].concat(),
            lookup: match lookup {
                Some(fields) => fields.iter().map(|field| resolve(model, field)).collect::<Result<_, _>>()?,
                None => model.primary_key.iter().map(|column| (*column, false)).collect(),
            },
            lookup_with,
            is_deletion: ours.is_deletion.or(models.is_deletion),
            deleted_field: ours.deleted_field.or(models.deleted_field).or(debezium.then_some(DEBEZIUM_DELETED_FIELD)),
            columns: model.columns,
            table: (model.table)().plain,
            schemas: Arc::default(),
        })
    }

    /// The lookup's columns.
    pub(super) fn lookup_columns(&self) -> ColumnSet {
        self.lookup.iter().fold(ColumnSet::EMPTY, |set, (column, _)| set.with(*column))
    }

    /// Whether one of the model's columns reads this message field.
    pub(super) fn reads(&self, message_field: &str) -> bool {
        self.columns.iter().any(|column| column.message_field == Some(message_field))
    }

    /// A column for errors: ``field `total` (column `orders.total`)``.
    pub(super) fn name(&self, column: usize) -> String {
        let Some(found) = self.columns.get(column) else { return format!("column {column} of `{}`", self.table) };
        let field = found.message_field.unwrap_or(found.field);
        format!("field `{field}` (column `{}.{}`)", self.table, found.column)
    }
}

fn envelope(topic: &ModelTopic, said: Option<Envelope>) -> Result<Envelope, String> {
    match (topic.dialect, said) {
        (Dialect::Debezium, said) => Ok(said.unwrap_or(Envelope::Auto)),
        (Dialect::Plain, Some(Envelope::Full)) => {
            Err("`envelope = full` is Debezium's: derive `DbzConsumer` in place of `ModelTopicConsumer`".to_owned())
        }
        (Dialect::Plain, _) => Ok(Envelope::Flat),
    }
}

fn resolve(model: &ModelDescriptor, lookup: &LookupField) -> Result<(usize, bool), String> {
    let column = model.columns.iter().position(|column| column.field == lookup.field);
    column.map(|column| (column, lookup.whole_key)).ok_or_else(|| {
        let fields: Vec<_> = model.columns.iter().map(|column| format!("`{}`", column.field)).collect();
        format!(
            "lookup names `{}`, but `{}` has no such field with a column; it has {}",
            lookup.field,
            model.type_name,
            fields.join(", ")
        )
    })
}
