//! A connector as declared.

use proc_macro2::Ident;

use crate::model::consumer::ConfigValue;
use crate::paths::Runtime;

/// A connector.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) dk: Runtime,
    pub(crate) ident: Ident,
    /// `None`: the struct's.
    pub(crate) name: Option<syn::LitStr>,
    /// `None`: of a connector that is to be removed.
    pub(crate) config: Option<Config>,
    pub(crate) mark_for_removal: bool,
}

/// Where a connector's configuration comes from.
#[derive(Debug)]
pub(crate) enum Config {
    /// `config("key" = value, …)`.
    Pairs(Vec<(syn::LitStr, ConfigValue)>),
    /// `config = path`: a function that makes it.
    Function(syn::Path),
}
