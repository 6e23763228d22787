//! A model whose rows can be marked for source connectors.

use proc_macro2::Ident;
use syn::{Path, Type};

/// A Diesel model with a column `kafka_skip`.
#[derive(Debug)]
pub(crate) struct SkipModel {
    /// The struct.
    pub(crate) ident: Ident,
    /// Its table's module.
    pub(crate) table: Path,
    /// What `save` writes.
    pub(crate) columns: Vec<SkipColumn>,
    /// The field of the column `kafka_skip`, and its type.
    pub(crate) mark: (Ident, Type),
}

/// A field with a column.
#[derive(Debug)]
pub(crate) struct SkipColumn {
    /// The field.
    pub(crate) field: Ident,
    /// Its type.
    pub(crate) ty: Type,
    /// The column in `table!`.
    pub(crate) sql_name: Ident,
    /// Whether it belongs to the primary key.
    pub(crate) in_key: bool,
    /// Whether updates write it.
    pub(crate) in_update: bool,
    /// Whether inserts write it.
    pub(crate) in_insert: bool,
}
