//! What generated code names. Everything of the runtime is under `<crate>::__private`; what the standard library
//! gives is written out from `::core` or `::std`, so that generated code works without a prelude.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};

/// The runtime's `__private` module: `#dk::Topic` in a template is `::django_kafka_rs::__private::Topic`.
#[derive(Debug, Clone)]
pub(crate) struct Runtime(TokenStream);

impl Runtime {
    /// The runtime of `crate = path`, or `::django_kafka_rs`.
    pub(crate) fn new(crate_path: Option<&syn::Path>) -> Self {
        match crate_path {
            Some(path) => Self(quote!(#path::__private)),
            None => Self(quote!(::django_kafka_rs::__private)),
        }
    }

    /// The same, placed at the user's tokens, so that rustc underlines these and not the whole attribute.
    pub(crate) fn at(&self, span: Span) -> Self {
        let placed = |mut tree: TokenTree| {
            tree.set_span(tree.span().located_at(span));
            tree
        };
        Self(self.0.clone().into_iter().map(placed).collect())
    }

    /// Diesel as the runtime re-exports it, so that users of a re-exporting crate need none of their own.
    pub(crate) fn diesel(&self) -> TokenStream {
        quote!(#self::diesel)
    }

    /// `Location { file, line }` of the place where the macro stands.
    pub(crate) fn location(&self) -> TokenStream {
        quote!(#self::Location { file: ::core::file!(), line: ::core::line!() })
    }
}

impl ToTokens for Runtime {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}
