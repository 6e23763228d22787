//! What makes a struct a topic whose messages write models: `ModelTopicConsumer` and `ConsumedTopic`.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt;
use syn::{Ident, Path};

use super::patch::at;
use super::sync;
use crate::model::sync_model::{Model, SyncTopic, Targets};
use crate::model::sync_options::{LookupField, SyncOptions};
use crate::paths::Runtime;
use crate::sync_derive::Derive;

/// A model that is its own topic.
pub(crate) fn of_model(dk: &Runtime, derive: Derive, model: &Model) -> TokenStream {
    let ident = &model.ident;
    let targets = quote_spanned! {Span::mixed_site()=>
        #dk::Targets::One(&<#ident as #dk::SyncModel>::DESCRIPTOR)
    };
    // The model's options are in its descriptor.
    let options = quote_spanned!(Span::mixed_site()=> #dk::SyncOptions::NONE);
    let consumer = expand(dk, derive, ident, &targets, &options);
    let scales = model.columns.iter().filter_map(|column| {
        let (name, span) = (column.scale_by_schema.as_ref()?, at(&column.ty));
        // The user's own span, as for lookups.
        let dk = dk.at(span);
        Some(quote_spanned! {span=>
            const _: () = {
                #[allow(unused_imports)]
                use #dk::probe::FormatsOfNone as _;
                #dk::check_scale(<#dk::probe::FormatsOf<#ident>>::VALUE.reader(), #name)
            };
        })
    });
    let scales: TokenStream = scales.collect();
    quote_spanned! {Span::mixed_site()=>
        #scales
        #consumer
    }
}

/// A unit topic.
pub(crate) fn of_topic(dk: &Runtime, derive: Derive, topic: &SyncTopic) -> TokenStream {
    let targets = match &topic.targets {
        Targets::One(model) => {
            let descriptor = descriptor(dk, model);
            quote_spanned!(at(model)=> #dk::Targets::One(#descriptor))
        }
        Targets::Reroute(routes) => {
            let routes = routes.iter().map(|route| {
                let (table, descriptor) = (&route.table, descriptor(dk, &route.model));
                quote_spanned!(at(&route.model)=> (#table, #descriptor))
            });
            quote_spanned!(Span::mixed_site()=> #dk::Targets::Reroute(&[#(#routes),*]))
        }
    };
    let checks = topic.targets.models().flat_map(|model| lookup_checks(dk, model, &topic.options));
    let checks: TokenStream = checks.collect();
    let model = match &topic.targets {
        Targets::One(model) => model.clone(),
        // `lookup_with` was refused.
        Targets::Reroute(_) => topic.ident.clone().into(),
    };
    let options = sync::options(dk, &topic.options, &model);
    let consumer = expand(dk, derive, &topic.ident, &targets, &options);
    quote_spanned! {Span::mixed_site()=>
        const _: () = {
            #checks
            #consumer
        };
    }
}

fn descriptor(dk: &Runtime, model: &Path) -> TokenStream {
    quote_spanned!(at(model)=> &<#model as #dk::SyncModel>::DESCRIPTOR)
}

/// The names in a topic's `lookup(…)` are fields of its models: only the compiler can tell, so it is asked at each.
fn lookup_checks(dk: &Runtime, model: &Path, options: &SyncOptions) -> Vec<TokenStream> {
    let check = |LookupField { field, .. }: &LookupField| {
        // The user's own span, not the macro's: a panic in a constant is shown where its call stands.
        let dk = dk.at(field.span());
        let name = field.unraw().to_string();
        let descriptor = quote_spanned!(field.span()=> &<#model as #dk::SyncModel>::DESCRIPTOR);
        quote_spanned!(field.span()=> const _: () = #dk::check_lookup_field(#descriptor, #name);)
    };
    options.lookup.iter().flatten().map(check).collect()
}

fn expand(dk: &Runtime, derive: Derive, ident: &Ident, targets: &TokenStream, options: &TokenStream) -> TokenStream {
    let dialect = match derive {
        Derive::DbzConsumer => Ident::new("Debezium", Span::mixed_site()),
        Derive::ModelTopicConsumer | Derive::SyncModel => Ident::new("Plain", Span::mixed_site()),
    };
    let reader = |part: &str| {
        let (dk, part) = (dk.at(at(ident)), Ident::new(part, at(ident)));
        quote_spanned! {at(ident)=> {
            use #dk::probe::FormatsOfNone as _;
            <#dk::probe::FormatsOf<#ident>>::#part.reader()
        } }
    };
    let (key_format, value_format) = (reader("KEY"), reader("VALUE"));
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl #dk::ModelTopicConsumer for #ident {
            const MODEL_TOPIC: #dk::ModelTopic = #dk::ModelTopic {
                dialect: #dk::Dialect::#dialect,
                targets: #targets,
                options: #options,
                key_format: #key_format,
                value_format: #value_format,
            };
        }
        #[automatically_derived]
        impl #dk::ConsumedTopic for #ident {
            fn __handler() -> #dk::HandlerSource {
                #dk::HandlerSource::Models(&<Self as #dk::ModelTopicConsumer>::MODEL_TOPIC)
            }
        }
    }
}
