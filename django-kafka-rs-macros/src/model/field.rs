//! A field that a sync writes.

use proc_macro2::{Ident, TokenStream};
use syn::{LitStr, Path, Type};

/// A field with a column.
#[derive(Debug)]
pub(crate) struct Column {
    /// The field.
    pub(crate) ident: Ident,
    /// Its name without `r#`.
    pub(crate) name: String,
    /// The field's type.
    pub(crate) ty: Type,
    /// `#[diesel(serialize_as = Type)]`: what is written instead of it.
    pub(crate) serialize_as: Option<Type>,
    /// The column in `table!`.
    pub(crate) sql_name: Ident,
    /// Where its value comes from.
    pub(crate) source: Source,
    /// `default`.
    pub(crate) insert_default: bool,
    /// Whether it identifies rows.
    pub(crate) in_lookup: bool,
    /// The name of its type, where that is a decimal whose scale only the messages' schema can say.
    pub(crate) scale_by_schema: Option<String>,
}

impl Column {
    /// The type that is written to the column.
    pub(crate) fn stored(&self) -> &Type {
        self.serialize_as.as_ref().unwrap_or(&self.ty)
    }

    /// The message's field.
    pub(crate) fn message_field(&self) -> Option<&str> {
        match &self.source {
            Source::Message { field, .. } => Some(field),
            Source::Compute(_) | Source::DefaultOnly | Source::Mark => None,
        }
    }
}

/// Where a column's value comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A field of the message.
    Message {
        /// Its name.
        field: String,
        /// `from`, where it was written.
        said: Option<LitStr>,
        /// `as`; `None`: the type decides.
        encoding: Option<Encoding>,
        /// `with`.
        with: Option<Path>,
    },
    /// `compute`.
    Compute(Path),
    /// `default` on a field whose message field is excluded.
    DefaultOnly,
    /// True: the column is `kafka_skip`.
    Mark,
}

/// `as = dbz::X`.
#[derive(Debug)]
pub(crate) struct Encoding {
    /// The user's path, its parameter as `::<2>`.
    pub(crate) path: TokenStream,
}
