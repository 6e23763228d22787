//! A model that messages write: what the three derives know of it when everything is checked.

use proc_macro2::Ident;
use syn::Path;

use super::field::Column;
use super::sync_options::SyncOptions;

/// A Diesel model.
#[derive(Debug)]
pub(crate) struct Model {
    /// The struct.
    pub(crate) ident: Ident,
    /// Its table's module.
    pub(crate) table: Path,
    /// All fields of the struct, for the read that keeps them alive.
    pub(crate) fields: Vec<Ident>,
    /// The fields that a sync writes.
    pub(crate) columns: Vec<Column>,
    /// Indices into `columns`.
    pub(crate) primary_key: Vec<usize>,
    /// The rows that a row refers to.
    pub(crate) relations: Vec<Relation>,
    /// The container's `#[sync(…)]`.
    pub(crate) options: SyncOptions,
}

/// A column that refers to a row of a model.
#[derive(Debug)]
pub(crate) struct Relation {
    /// Index into the model's columns.
    pub(crate) column: usize,
    /// The parent's model.
    pub(crate) parent: Path,
    /// The parent's field; `None`: its primary key.
    pub(crate) field: Option<Ident>,
}

/// A unit struct: a topic whose messages write other models.
#[derive(Debug)]
pub(crate) struct SyncTopic {
    /// The struct.
    pub(crate) ident: Ident,
    /// Which models.
    pub(crate) targets: Targets,
    /// The container's `#[sync(…)]`.
    pub(crate) options: SyncOptions,
}

/// The models of a unit topic.
#[derive(Debug)]
pub(crate) enum Targets {
    /// `#[sync(model = M)]`.
    One(Path),
    /// `#[reroute("schema.table" => M, …)]`.
    Reroute(Vec<Route>),
}

impl Targets {
    pub(crate) fn models(&self) -> impl Iterator<Item = &Path> {
        let (one, many) = match self {
            Self::One(model) => (Some(model), &[][..]),
            Self::Reroute(routes) => (None, routes.as_slice()),
        };
        one.into_iter().chain(many.iter().map(|route| &route.model))
    }
}

/// One entry of `#[reroute(…)]`.
#[derive(Debug)]
pub(crate) struct Route {
    /// The table, as Debezium names it in the key.
    pub(crate) table: syn::LitStr,
    /// Its model.
    pub(crate) model: Path,
}
