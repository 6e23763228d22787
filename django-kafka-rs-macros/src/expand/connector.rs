//! `impl Connector`, and the connector's place in the registry.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::expand::consumer::config_value;
use crate::expand::register;
use crate::model::connector::{Config, Connector};
use crate::paths::Runtime;

/// Everything that `#[connector]` adds to its item.
pub(crate) fn expand(connector: &Connector) -> TokenStream {
    let Connector { dk, ident, name, config, mark_for_removal } = connector;
    let location = dk.location();
    let name = name.as_ref().map(|name| quote!(.name(#name)));
    let config = config.as_ref().map(|config| configuration(dk, config));
    let removal = mark_for_removal.then(|| quote!(.mark_for_removal()));
    let declaration = quote!(#dk::Declaration::Connector(&<#ident as #dk::Connector>::DECLARATION));
    let registration = register::element(dk, "__DK_CONNECTOR", &declaration);
    quote! {
        const _: () = {
            #[automatically_derived]
            impl #dk::Connector for #ident {
                const DECLARATION: #dk::ConnectorDeclaration = #dk::ConnectorDeclaration::new(
                    ::core::stringify!(#ident),
                    #location,
                )
                #name #config #removal;
            }
            #registration
            // Nothing else makes one: without this the struct would be dead code.
            const _: #ident = #ident {};
        };
    }
}

fn configuration(dk: &Runtime, config: &Config) -> TokenStream {
    match config {
        Config::Pairs(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| {
                let value = config_value(dk, value);
                quote!((#key, #value))
            });
            quote!(.config(&[#(#pairs),*]))
        }
        Config::Function(path) => {
            let dk = dk.at(path.span());
            // At the path: that it is a function without arguments, and that what it gives is a configuration.
            let made = quote_spanned!(path.span()=> #dk::IntoConnectorConfig::into_connector_config(#path()));
            quote!(.config_of(|| #made))
        }
    }
}
