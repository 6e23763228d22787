//! A topic as declared.

use proc_macro2::Ident;

use crate::attr::name::TopicName;
use crate::model::retry::Retry;
use crate::model::schema::SchemaFile;
use crate::paths::Runtime;

/// A topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) dk: Runtime,
    pub(crate) ident: Ident,
    pub(crate) role: Role,
    pub(crate) name: TopicName,
    pub(crate) key: Payload,
    pub(crate) value: Payload,
    pub(crate) retry: Option<Retry>,
    pub(crate) register: bool,
}

/// What the struct is, beside a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A topic with a handler of the user's; it has no fields, so that the macro can construct it.
    Unit,
    /// The same with fields: constructed by `Default`, or given through the builder.
    Stateful,
    /// A struct with named fields below its derives and without a helper attribute: whether it is a model can only
    /// be asked of its type.
    Unclear,
    /// A model, or a unit topic whose messages go to models.
    Synced,
}

/// What a key or a value is, and how it is read and written.
#[derive(Debug)]
pub(crate) struct Payload {
    /// `None`: what the format reads.
    pub(crate) ty: Option<syn::Type>,
    pub(crate) format: Format,
    /// The schema that `key_schema` or `value_schema` names.
    pub(crate) schema: Option<SchemaFile>,
}

/// How keys or values become bytes.
#[derive(Debug, Clone)]
pub(crate) enum Format {
    /// What the struct's type decides: JSON for a model, text for any other.
    ByRole,
    Text,
    Bytes,
    Json,
    Avro,
    /// A type of the user's that implements `Decode`, `Encode` or both.
    Custom(Box<syn::Type>),
}
