//! Which row a message is about.

use std::any::Any;

use super::json::json_string;
use super::message::{Body, Shape, Unwrapped};
use super::plan::ReadPlan;
use super::row::{Part, Source};
use crate::error::{ConsumeError, DecodeError};
use crate::sync::context::SyncContext;
use crate::sync::model::{ColumnSet, ErasedLookup, Patch};

/// Reads the lookup's columns that the key has: an object's fields, the key itself where it is a scalar, or the whole
/// key where `lookup(field = key)` says so.
pub(super) fn read_key<P: Patch>(plan: &ReadPlan, unwrapped: &Unwrapped<'_>, row: &mut P) -> Result<(), ConsumeError> {
    let Some(key) = unwrapped.key else {
        return Err(DecodeError::new(format!(
            "the message has no key, so nothing tells which row of `{}` it is about (lookup by {}); produce it with a \
             key, or say how the row is found with `#[sync(lookup_with = path)]`",
            plan.table,
            lookup_fields(plan)
        ))
        .into());
    };
    let source = Source { plan, part: Part::Key, schema: unwrapped.key_schema.as_deref(), only: None };
    match (key.shape(), plan.lookup.as_slice()) {
        (_, [(column, true)]) => source.read_column(key, *column, row)?,
        (Shape::Scalar, [(column, false)]) => read_scalar(source, key, *column, row)?,
        (shape, lookup) => {
            for (column, _) in lookup.iter().filter(|(_, whole)| *whole) {
                source.read_column(key, *column, row)?;
            }
            if shape == Shape::Object {
                let fields = lookup.iter().filter(|(_, whole)| !whole);
                let only = fields.fold(ColumnSet::EMPTY, |set, (column, _)| set.with(*column));
                Source { only: Some(only), ..source }.read_row(key, row)?;
            }
        }
    }
    Ok(())
}

/// A scalar key as the column's value. A key that was produced as a text may look like a number (`42`): where the
/// column does not take the number, it is asked for the text.
fn read_scalar<P: Patch>(source: Source<'_>, key: Body<'_>, column: usize, row: &mut P) -> Result<(), ConsumeError> {
    let Err(error) = source.read_column(key, column, row) else { return Ok(()) };
    let text = match key {
        Body::Json(key) => std::str::from_utf8(key).ok().map(str::trim).filter(|key| !key.starts_with('"')),
        #[cfg(feature = "avro")]
        Body::Avro(_) => None,
    };
    if text.is_some_and(|text| source.read_column(Body::Json(&json_string(text)), column, row).is_ok()) {
        return Ok(());
    }
    Err(error.into())
}

/// For a deletion: what the key lacks, from the row as it was, and from the functions that compute columns.
pub(super) fn read_missing<P: Patch>(
    plan: &ReadPlan,
    unwrapped: &Unwrapped<'_>,
    cx: &SyncContext<'_>,
    row: &mut P,
) -> Result<(), ConsumeError> {
    let missing = plan.lookup_columns().without(row.present());
    if missing.is_empty() {
        return Ok(());
    }
    if let Some(value) = unwrapped.value {
        let schema = unwrapped.value_schema.as_deref();
        Source { plan, part: Part::Value, schema, only: Some(missing) }.read_row(value, row)?;
    }
    let computed = missing.without(row.present());
    if computed.iter().any(|column| plan.columns.get(column).is_some_and(|c| c.message_field.is_none())) {
        let mut full = P::default();
        full.compute(cx)?;
        for column in computed.iter() {
            row.adopt(column, &mut full);
        }
    }
    Ok(())
}

/// The lookup's columns, where the row has them all.
pub(super) fn complete(
    plan: &ReadPlan,
    unwrapped: &Unwrapped<'_>,
    present: ColumnSet,
) -> Result<ColumnSet, ConsumeError> {
    let lookup = plan.lookup_columns();
    match lookup.without(present).iter().next() {
        None => Ok(lookup),
        Some(missing) => Err(DecodeError::new(format!(
            "the lookup's {} is missing: the key held {}, and the value {}",
            plan.name(missing),
            unwrapped.key.map_or_else(|| "nothing".to_owned(), Body::held),
            if unwrapped.value.is_some() { "has no such field either" } else { "is null" },
        ))
        .into()),
    }
}

/// Puts what `lookup_with` returned into the row.
pub(super) fn adopt<P: Patch>(lookup: ErasedLookup, row: &mut P) -> Result<ColumnSet, ConsumeError> {
    let patch: Box<dyn Any> = lookup.patch;
    let mut patch = patch.downcast::<P>().map_err(|_| {
        // The derives give the function's model and the topic's the same type; only a hand-written plan can mix them.
        DecodeError::new("`lookup_with` returned a lookup of another model")
    })?;
    for column in lookup.columns.iter() {
        row.adopt(column, &mut patch);
    }
    Ok(lookup.columns)
}

fn lookup_fields(plan: &ReadPlan) -> String {
    let fields = plan.lookup.iter().filter_map(|(column, _)| plan.columns.get(*column));
    fields.map(|column| format!("`{}`", column.field)).collect::<Vec<_>>().join(", ")
}
