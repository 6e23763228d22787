//! Elements of the registry.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use crate::paths::Runtime;

/// Registers a declaration. No `allow(unsafe_code)` is written, which crates that forbid unsafe code would refuse.
pub(crate) fn element(dk: &Runtime, name: &str, declaration: &TokenStream) -> TokenStream {
    let name = Ident::new(name, Span::mixed_site());
    quote! {
        #[#dk::linkme::distributed_slice(#dk::DECLARATIONS)]
        #[linkme(crate = #dk::linkme)]
        static #name: #dk::Declaration = #declaration;
    }
}
