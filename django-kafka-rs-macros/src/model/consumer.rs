//! A consumer as declared.

use proc_macro2::Ident;

use crate::paths::Runtime;

/// A consumer.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) dk: Runtime,
    pub(crate) ident: Ident,
    pub(crate) group: syn::LitStr,
    pub(crate) topics: Vec<syn::Type>,
    pub(crate) config: Vec<Property>,
    pub(crate) batch: Option<Batch>,
    pub(crate) workers: Option<u32>,
    pub(crate) offsets_in_database: bool,
    pub(crate) suppress: Option<Suppress>,
}

/// What is not produced while messages are handled.
#[derive(Debug)]
pub(crate) enum Suppress {
    /// Any topic.
    All,
    /// These, as written.
    Named(Vec<syn::LitStr>),
}

/// One entry of `config(…)`.
#[derive(Debug)]
pub(crate) struct Property {
    pub(crate) key: syn::LitStr,
    pub(crate) value: ConfigValue,
    /// Whether librdkafka calls the property deprecated.
    pub(crate) deprecated: bool,
}

/// Where a property's value comes from.
#[derive(Debug)]
pub(crate) enum ConfigValue {
    Str(syn::LitStr),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// An environment variable.
    Env(syn::LitStr),
    /// A key of the settings file.
    Setting(syn::LitStr),
}

/// `batch(…)`; `None`: the setting.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) max: Option<u32>,
    pub(crate) bytes_max: Option<u64>,
    pub(crate) linger_ms: Option<u64>,
}
