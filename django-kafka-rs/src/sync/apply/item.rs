//! One decoded message.

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;

use super::super::decode::{self, Decoded, Message};
use super::super::model::{ColumnSet, Row};
use super::super::plan::Kind;
use super::super::relation::ModelRelation;
use super::{ModelSync, Target, place};
use crate::error::ConsumeError;
use crate::record::RawRecord;

/// What one message asks for.
pub(super) struct Item {
    /// The message's index in the batch.
    pub index: usize,
    /// The model's index in the topic.
    pub target: usize,
    pub row: Box<dyn Row>,
    pub lookup: ColumnSet,
    pub kind: Kind,
    /// The rows that it refers to, by the user's function.
    pub relations: Vec<ModelRelation>,
    /// Of the lookup's values; `None` where they cannot be compared.
    hash: Option<u64>,
    /// About where the row is in an index of the lookup's columns.
    pub place: u64,
}

impl Item {
    /// The row's identity.
    pub(super) fn key(&self) -> Option<RowKey<'_>> {
        self.hash.map(|hash| RowKey { hash, item: self })
    }
}

/// A row's identity: the lookup's values, compared as their Rust types are.
#[derive(Clone, Copy)]
pub(super) struct RowKey<'a> {
    hash: u64,
    item: &'a Item,
}

impl Hash for RowKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for RowKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.item, other.item);
        self.hash == other.hash
            && a.lookup == b.lookup
            && a.lookup.iter().all(|column| a.row.eq_column(column, &*b.row))
    }
}

impl Eq for RowKey<'_> {}

impl ModelSync {
    /// Decodes a message; `None` where it asks for nothing.
    pub(super) fn decode(&self, index: usize, record: &RawRecord) -> Result<Option<Item>, ConsumeError> {
        caught("reading the message", || {
            let message = self.message(record)?;
            let (model, _) = decode::select(self.topic, message.key())?;
            let target = self.target_of_model[model];
            let Target { model, plan, referring, .. } = &self.targets[target];
            let mut item = self.item(index, target, (model.decode)(plan, &message)?)?;
            if let (Some(item), Some(with)) = (&mut item, referring.as_ref().and_then(|referring| referring.with))
                && matches!(item.kind, Kind::Upsert(_))
            {
                item.relations = decode::with_context(plan, &message, with)??;
            }
            Ok(item)
        })
    }

    /// A message with what it is read by.
    pub(super) fn message<'m>(&self, record: &'m RawRecord) -> Result<Message<'m>, ConsumeError> {
        Message::new(record, self.topic, &*self.schemas)
    }

    fn item(&self, index: usize, target: usize, decoded: Decoded) -> Result<Option<Item>, ConsumeError> {
        let (mut row, lookup, kind) = match decoded {
            Decoded::Ignore => return Ok(None),
            Decoded::Delete { row, lookup } => (row, lookup, Kind::Delete),
            Decoded::Upsert { row, lookup } => {
                let present = row.present().union(lookup);
                (row, lookup, Kind::Upsert(present))
            }
        };
        if self.targets[target].has_insert_defaults {
            // Only an insert writes them (an update sets what was present before), and a deletion that comes too late.
            row.fill_insert_defaults();
        }
        if lookup.is_empty() {
            return Err("the lookup names no column, so the message is about no row".into());
        }
        let mut hasher = DefaultHasher::new();
        let comparable = lookup.iter().all(|column| row.hash_column(column, &mut hasher));
        let hash = comparable.then(|| hasher.finish());
        let place = place::of(&*row, lookup);
        Ok(Some(Item { index, target, row, lookup, kind, relations: Vec::new(), hash, place }))
    }
}

/// Calls a function of the user's; a panic in it is the message's failure.
pub(super) fn caught<T>(what: &str, f: impl FnOnce() -> Result<T, ConsumeError>) -> Result<T, ConsumeError> {
    std::panic::catch_unwind(AssertUnwindSafe(f))
        .unwrap_or_else(|panic| Err(format!("{what} panicked: {}", panic_text(&*panic)).into()))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no text)")
}
