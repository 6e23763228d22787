//! What a topic's models have to do with others.

use std::sync::Arc;

use super::wake::Wake;
use super::{MessageProcessor, RelationResolver, TableProcessor, TableResolver};
use crate::sync::{ModelDescriptor, ModelTopic, RelationsWith, Targets};

/// What all topics of an application share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Relations {
    pub(crate) resolver: Arc<dyn RelationResolver>,
    pub(crate) processor: Arc<dyn MessageProcessor>,
    pub(crate) wake: Wake,
    declared: Arc<Declared>,
}

/// The relations that are declared in the program.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    /// Models that columns of others refer to, each with the field.
    parents: Vec<(&'static ModelDescriptor, &'static str)>,
    /// Functions that give relations when they see a message: any model may be meant.
    by_function: bool,
    /// Handlers may, too.
    by_handler: bool,
}

impl std::fmt::Debug for Relations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relations").field("declared", &self.declared).finish_non_exhaustive()
    }
}

/// Whether both are one model.
pub(crate) fn is_same(a: &ModelDescriptor, b: &ModelDescriptor) -> bool {
    (a.type_name, a.location) == (b.type_name, b.location)
}

impl Declared {
    /// Of all models and topics of the program.
    pub(crate) fn new<'m>(
        models: impl Iterator<Item = &'m ModelDescriptor>,
        topics: impl Iterator<Item = &'m ModelTopic>,
        by_handler: bool,
    ) -> Self {
        let mut declared = Self { by_handler, ..Self::default() };
        for model in models {
            declared.add(model);
        }
        for topic in topics {
            declared.by_function |= topic.options.relations_with.is_some();
            for model in models_of(topic) {
                declared.add(model);
            }
        }
        declared
    }

    fn add(&mut self, model: &ModelDescriptor) {
        self.by_function |= model.options.relations_with.is_some();
        for relation in model.relations {
            let parent = (relation.model)();
            let Some(field) = relation.target().and_then(|column| parent.columns.get(column)) else { continue };
            if !self.parents.iter().any(|(known, of)| *of == field.field && is_same(known, parent)) {
                self.parents.push((parent, field.field));
            }
        }
    }

    fn awaited(&self, model: &ModelDescriptor) -> Vec<(usize, &'static str)> {
        let columns = model.columns.iter().enumerate().map(|(index, column)| (index, column.field));
        if self.by_function || self.by_handler {
            return columns.collect();
        }
        columns
            .filter(|(_, field)| self.parents.iter().any(|(known, of)| of == field && is_same(known, model)))
            .collect()
    }

    fn blocks(&self, model: &ModelDescriptor) -> bool {
        self.by_function || self.parents.iter().any(|(known, _)| is_same(known, model))
    }
}

fn models_of(topic: &ModelTopic) -> Vec<&'static ModelDescriptor> {
    match topic.targets {
        Targets::One(model) => vec![model],
        Targets::Reroute(map) => map.iter().map(|(_, model)| *model).collect(),
    }
}

impl Relations {
    /// With the default resolver and processor.
    pub(crate) fn new(declared: Declared) -> Self {
        Self {
            resolver: Arc::new(TableResolver::default()),
            processor: Arc::new(TableProcessor),
            wake: Wake::default(),
            declared: Arc::new(declared),
        }
    }
}

/// A topic's part in relations.
#[derive(Debug, Clone)]
pub(crate) struct Related {
    pub(crate) shared: Relations,
    /// The consumer's group, of the topic itself also where its messages come from retry topics.
    pub(crate) group: Arc<str>,
}

/// One of a topic's models, and what it has to do with others.
#[derive(Debug, Clone)]
pub(crate) struct Referring {
    /// The columns that refer.
    pub(crate) columns: Vec<ReferringColumn>,
    /// The function that gives a message's relations.
    pub(crate) with: Option<RelationsWith>,
    /// The columns by which others may refer to it, with their fields.
    pub(crate) awaited: Vec<(usize, &'static str)>,
    /// A deletion may be blocked by those that do.
    pub(crate) waits_for_children: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ReferringColumn {
    pub(crate) column: usize,
    pub(crate) model: &'static ModelDescriptor,
    pub(crate) field: &'static str,
}

impl Related {
    /// What a model of the topic has to do with others.
    pub(crate) fn referring(&self, topic: &ModelTopic, model: &ModelDescriptor) -> Referring {
        let columns = model.relations.iter().filter_map(|relation| {
            let parent = (relation.model)();
            let field = parent.columns.get(relation.target()?)?.field;
            Some(ReferringColumn { column: relation.column, model: parent, field })
        });
        let declared = &self.shared.declared;
        Referring {
            columns: columns.collect(),
            with: topic.options.relations_with.or(model.options.relations_with),
            awaited: declared.awaited(model),
            waits_for_children: declared.blocks(model),
        }
    }
}

impl Referring {
    /// Whether a message's relations have to be asked for.
    pub(crate) fn refers(&self) -> bool {
        !self.columns.is_empty() || self.with.is_some()
    }

    /// Whether there is anything to do for messages of this model.
    pub(crate) fn is_concerned(&self) -> bool {
        self.refers() || !self.awaited.is_empty()
    }
}
