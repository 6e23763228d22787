//! `#[sync(…)]` on a struct, checked.

use proc_macro2::Span;
use syn::{Ident, LitStr, Path};

/// What was said; `None` and empty: nothing.
#[derive(Debug, Default)]
pub(crate) struct SyncOptions {
    /// `exclude(…)`.
    pub(crate) exclude: Vec<MessageField>,
    /// `lookup(…)`.
    pub(crate) lookup: Option<Vec<LookupField>>,
    /// `lookup_with`.
    pub(crate) lookup_with: Option<Path>,
    /// `is_deletion`.
    pub(crate) is_deletion: Option<Path>,
    /// `deleted_field`.
    pub(crate) deleted_field: Option<LitStr>,
    /// `envelope`.
    pub(crate) envelope: Option<(Envelope, Ident)>,
    /// `guard(off)`.
    pub(crate) guard_off: bool,
    /// `reduce(off)`.
    pub(crate) reduce_off: bool,
    /// `relations(auto)` and `relations_with`.
    pub(crate) relations: Relations,
    /// `after`.
    pub(crate) after: Option<Path>,
    /// `model`.
    pub(crate) model: Option<Path>,
    /// `crate`.
    pub(crate) runtime: Option<Path>,
}

/// How the rows that a message refers to are found; each with its word for spans.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    /// `relations(auto)`.
    pub(crate) auto: Option<Ident>,
    /// `relations_with = path`.
    pub(crate) with: Option<(Ident, Path)>,
}

/// A field of the message, with the place where it was written.
#[derive(Debug, Clone)]
pub(crate) struct MessageField {
    pub(crate) name: String,
    pub(crate) span: Span,
}

/// One entry of `lookup(…)`.
#[derive(Debug)]
pub(crate) struct LookupField {
    /// The model's field.
    pub(crate) field: Ident,
    /// `field = key`.
    pub(crate) whole_key: bool,
}

/// `envelope = …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Envelope {
    Auto,
    Flat,
    Full,
}
