//! From bytes to patches: unwraps what wraps a row, then reads the row straight into the model's patch by serde.

#[cfg(feature = "avro")]
mod avro;
mod json;
mod lookup;
mod message;
mod plan;
mod reroute;
mod row;
mod schemas;
#[cfg(test)]
mod tests;

pub(crate) use self::message::Body;
pub use self::message::Message;
pub use self::plan::ReadPlan;
pub(crate) use self::reroute::select;

use self::message::{Change, Unwrapped};
use self::row::{Part, ReadError, Source};
use super::context::SyncContext;
use super::model::{ColumnSet, Patch, Row};
use crate::error::{ConsumeError, DecodeError};

/// What a message asks of the model's table.
#[doc(hidden)]
pub enum Decoded {
    /// Write the row. Its lookup columns are set.
    Upsert { row: Box<dyn Row>, lookup: ColumnSet },
    /// Delete the row. Its lookup columns are set, no other.
    Delete { row: Box<dyn Row>, lookup: ColumnSet },
    /// Nothing to do: Debezium's `m` messages.
    Ignore,
}

impl std::fmt::Debug for Decoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Upsert { lookup, .. } => f.debug_struct("Upsert").field("lookup", lookup).finish_non_exhaustive(),
            Self::Delete { lookup, .. } => f.debug_struct("Delete").field("lookup", lookup).finish_non_exhaustive(),
            Self::Ignore => f.write_str("Ignore"),
        }
    }
}

/// The typed reader behind a pointer.
#[doc(hidden)]
pub type DecodeFn = fn(&ReadPlan, &Message<'_>) -> Result<Decoded, ConsumeError>;

/// Reads one message.
///
/// A row with a null where its model has none may still be a deletion: Debezium blanks all but the key, and the mark
/// stands last. So a row that cannot be read is looked at once more for the mark before it counts as an error.
#[doc(hidden)]
pub fn decode_message<P: Patch>(plan: &ReadPlan, message: &Message<'_>) -> Result<Decoded, ConsumeError> {
    let unwrapped = Unwrapped::new(plan, message)?;
    if unwrapped.change == Change::Nothing {
        return Ok(Decoded::Ignore);
    }
    let cx = unwrapped.context(message.raw());
    let asked = plan.is_deletion.map(|is_deletion| is_deletion(&cx)).transpose()?;
    if unwrapped.change == Change::Deletion || asked.unwrap_or(unwrapped.value.is_none()) {
        return delete::<P>(plan, &unwrapped, &cx);
    }
    let Some(value) = unwrapped.value else {
        return Err(DecodeError::new(format!(
            "the value is null, and `is_deletion` says that the message is no deletion: there is no row of `{}` to write",
            plan.table
        ))
        .into());
    };
    let source = Source { plan, part: Part::Value, schema: unwrapped.value_schema.as_deref(), only: None };
    let mut row = P::default();
    match source.read_row(value, &mut row) {
        Ok(deleted) if deleted && asked.is_none() => delete::<P>(plan, &unwrapped, &cx),
        Ok(_) => upsert(plan, &unwrapped, &cx, row),
        Err(error) if asked.is_none() && is_marked_deleted::<P>(source, value, &error) => {
            delete::<P>(plan, &unwrapped, &cx)
        }
        Err(error) => Err(error.into()),
    }
}

fn is_marked_deleted<P: Patch>(source: Source<'_>, value: Body<'_>, error: &ReadError) -> bool {
    let can_be = source.plan.deleted_field.is_some() && !matches!(error, ReadError::Unreadable(_));
    let mark_only = Source { only: Some(ColumnSet::EMPTY), ..source };
    can_be && mark_only.read_row(value, &mut P::default()).is_ok_and(|deleted| deleted)
}

fn upsert<P: Patch>(
    plan: &ReadPlan,
    unwrapped: &Unwrapped<'_>,
    cx: &SyncContext<'_>,
    mut row: P,
) -> Result<Decoded, ConsumeError> {
    row.compute(cx)?;
    let lookup = match plan.lookup_with {
        Some(lookup_with) => lookup::adopt(lookup_with(cx)?, &mut row)?,
        None => {
            lookup::read_key(plan, unwrapped, &mut row)?;
            lookup::complete(plan, unwrapped, row.present())?
        }
    };
    Ok(Decoded::Upsert { row: Box::new(row), lookup })
}

fn delete<P: Patch>(plan: &ReadPlan, unwrapped: &Unwrapped<'_>, cx: &SyncContext<'_>) -> Result<Decoded, ConsumeError> {
    let mut row = P::default();
    let lookup = match plan.lookup_with {
        Some(lookup_with) => lookup::adopt(lookup_with(cx)?, &mut row)?,
        None => {
            lookup::read_key(plan, unwrapped, &mut row)?;
            lookup::read_missing(plan, unwrapped, cx, &mut row)?;
            lookup::complete(plan, unwrapped, row.present())?
        }
    };
    Ok(Decoded::Delete { row: Box::new(row), lookup })
}

/// Calls `f` with the message as the user's functions see it: for `after` hooks.
///
/// # Errors
/// What wraps the message cannot be taken off.
pub(crate) fn with_context<R>(
    plan: &ReadPlan,
    message: &Message<'_>,
    f: impl FnOnce(&SyncContext<'_>) -> R,
) -> Result<R, ConsumeError> {
    let unwrapped = Unwrapped::new(plan, message)?;
    Ok(f(&unwrapped.context(message.raw())))
}

/// Reads a field's value; `None` where it is Debezium's placeholder.
pub(crate) fn read_present<'de, T, E: super::probe::Readable<T>, D: serde::Deserializer<'de>>(
    value: D,
    schema: Option<&crate::format::FieldSchema>,
) -> Result<Option<T>, D::Error> {
    match E::read(value, schema)? {
        crate::format::debezium::Presence::Present(v) => Ok(Some(v)),
        crate::format::debezium::Presence::Unavailable => Ok(None),
    }
}
