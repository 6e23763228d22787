//! `impl Consumer`, and the consumer's place in the registry.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::expand::register;
use crate::model::consumer::{Batch, ConfigValue, Consumer, Property, Suppress};
use crate::paths::Runtime;

/// Everything that `#[consumer]` adds to its item.
pub(crate) fn expand(consumer: &Consumer) -> TokenStream {
    let Consumer { dk, ident, group, topics, .. } = consumer;
    let location = dk.location();
    let entries = topics.iter().map(|ty| {
        let dk = dk.at(ty.span());
        quote_spanned!(ty.span()=> #dk::TopicEntry::of::<#ty>())
    });
    let checks = topic_checks(consumer);
    let config = config(dk, &consumer.config);
    let batch = consumer.batch.as_ref().map(|batch| {
        let batch = batch_settings(dk, batch);
        quote!(.batch(#batch))
    });
    let workers = consumer.workers.map(|workers| quote!(.workers(#workers)));
    let offsets = consumer.offsets_in_database.then(|| quote!(.offsets(#dk::OffsetStore::Database)));
    let suppress = consumer.suppress.as_ref().map(|suppress| {
        let topics = match suppress {
            Suppress::All => quote!(#dk::SuppressedTopics::All),
            Suppress::Named(names) => quote!(#dk::SuppressedTopics::Named(&[#(#names),*])),
        };
        quote!(.suppress(#topics))
    });
    let deprecations = consumer.config.iter().filter(|property| property.deprecated).map(deprecation);
    let declaration = quote!(#dk::Declaration::Consumer(&<#ident as #dk::Consumer>::DECLARATION));
    let registration = register::element(dk, "__DK_CONSUMER", &declaration);
    quote! {
        const _: () = {
            #checks
            #(#deprecations)*
            #[automatically_derived]
            impl #dk::Consumer for #ident {
                const DECLARATION: #dk::ConsumerDeclaration = #dk::ConsumerDeclaration::new(
                    ::core::stringify!(#ident),
                    #group,
                    &[#(#entries),*],
                    #location,
                )
                #config #batch #workers #offsets #suppress;
            }
            #registration
            // Nothing else makes one: without this the struct would be dead code.
            const _: #ident = #ident {};
        };
    }
}

/// For each topic, at its type: that no topic before it has its name, and that the names derived from the group fit.
fn topic_checks(consumer: &Consumer) -> TokenStream {
    let Consumer { dk, ident, topics, .. } = consumer;
    topics
        .iter()
        .enumerate()
        .map(|(index, ty)| {
            let dk = dk.at(ty.span());
            quote_spanned! {ty.span()=>
                const _: () = #dk::check_consumer_topic(&<#ident as #dk::Consumer>::DECLARATION, #index);
            }
        })
        .collect()
}

fn config(dk: &Runtime, properties: &[Property]) -> Option<TokenStream> {
    if properties.is_empty() {
        return None;
    }
    let pairs = properties.iter().map(|Property { key, value, .. }| {
        let value = config_value(dk, value);
        quote!((#key, #value))
    });
    Some(quote!(.config(&[#(#pairs),*])))
}

/// A value of `config(…)`.
pub(crate) fn config_value(dk: &Runtime, value: &ConfigValue) -> TokenStream {
    match value {
        ConfigValue::Str(text) => quote!(#dk::ConfigValue::Str(#text)),
        ConfigValue::Int(number) => quote!(#dk::ConfigValue::Int(#number)),
        ConfigValue::Float(number) => quote!(#dk::ConfigValue::Float(#number)),
        ConfigValue::Bool(flag) => quote!(#dk::ConfigValue::Bool(#flag)),
        ConfigValue::Env(variable) => quote!(#dk::ConfigValue::Env(#variable)),
        ConfigValue::Setting(key) => quote!(#dk::ConfigValue::Setting(#key)),
    }
}

fn batch_settings(dk: &Runtime, batch: &Batch) -> TokenStream {
    let Batch { max, bytes_max, linger_ms } = batch;
    let (max, bytes_max, linger_ms) = (option(max.as_ref()), option(bytes_max.as_ref()), option(linger_ms.as_ref()));
    quote!(#dk::BatchSettings { max: #max, bytes_max: #bytes_max, linger_ms: #linger_ms })
}

fn option(value: Option<&impl quote::ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

/// A warning at the key: stable Rust has none for macros but the use of something deprecated.
fn deprecation(property: &Property) -> TokenStream {
    let name = Ident::new("__DK_PROPERTY", Span::mixed_site());
    let used = Ident::new("__DK_PROPERTY", Span::mixed_site().located_at(property.key.span()));
    let note = format!("librdkafka calls `{}` deprecated; see its CONFIGURATION.md", property.key.value());
    quote! {
        const _: () = {
            #[deprecated(note = #note)]
            const #name: () = ();
            #used
        };
    }
}
