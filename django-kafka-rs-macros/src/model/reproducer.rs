//! A topic that tells on the events of a table.

use proc_macro2::Ident;
use syn::{LitStr, Path};

/// A unit topic with `#[derive(TopicReproducer)]`: a model, a name, or both.
#[derive(Debug)]
pub(crate) struct Reproducer {
    /// The struct.
    pub(crate) ident: Ident,
    /// `model`.
    pub(crate) model: Option<Path>,
    /// `namespace`; `None`: the setting.
    pub(crate) namespace: Option<LitStr>,
    /// `name`; `None`: the model's table.
    pub(crate) name: Option<LitStr>,
}
