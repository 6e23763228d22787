//! A lookup made by the user's own function.

use super::model::{ColumnSet, ErasedLookup, SyncModel};

/// A column of the model `M`. Written by the derives for each column, so that [`Lookup::by`] is checked by the
/// compiler.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a column that the model has a field for",
    note = "a lookup names columns of the model's own table, those that its struct has: `Lookup::by(customers::email, value)`"
)]
pub trait ColumnOf<M: SyncModel> {
    /// The field's type.
    type Field;
    /// The column's index in the model.
    #[doc(hidden)]
    const INDEX: usize;
    /// Sets the column in a patch.
    #[doc(hidden)]
    fn set(patch: &mut M::Patch, value: Self::Field);
}

/// Which row a message is about: `lookup_with = path`.
///
/// ```
/// # use django_kafka_rs::prelude::*;
/// # diesel::table! { customers (id) { id -> BigInt, email -> Text, } }
/// # #[derive(SyncModel)]
/// # #[diesel(table_name = customers)]
/// # #[sync(lookup_with = by_email)]
/// # struct Customer { id: i64, email: String }
/// fn by_email(cx: &SyncContext<'_>) -> Result<Lookup<Customer>, ConsumeError> {
///     Ok(Lookup::by(customers::email, cx.key::<String>()?))
/// }
/// # fn main() {}
/// ```
pub struct Lookup<M: SyncModel> {
    patch: M::Patch,
    columns: ColumnSet,
}

impl<M: SyncModel> Lookup<M> {
    /// The row whose `column` equals `value`.
    #[must_use]
    pub fn by<C: ColumnOf<M>>(column: C, value: impl Into<C::Field>) -> Self {
        Self { patch: M::Patch::default(), columns: ColumnSet::EMPTY }.and(column, value)
    }

    /// … and whose `column` equals `value` too.
    #[must_use]
    pub fn and<C: ColumnOf<M>>(mut self, _column: C, value: impl Into<C::Field>) -> Self {
        C::set(&mut self.patch, value.into());
        self.columns = self.columns.with(C::INDEX);
        self
    }

    pub(super) fn erase(self) -> ErasedLookup {
        ErasedLookup { patch: Box::new(self.patch), columns: self.columns }
    }
}

impl<M: SyncModel> std::fmt::Debug for Lookup<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").field("model", &M::DESCRIPTOR.type_name).field("columns", &self.columns).finish()
    }
}
