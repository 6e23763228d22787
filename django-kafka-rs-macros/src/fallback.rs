//! What is generated beside a mistake: the item as it is, and impls without content, so that whatever names the
//! item (`topics(Customer)`, `Record<Audit>`) does not fail too. One mistake, one error.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::attr::item::role;
use crate::model::topic::Role;
use crate::paths::Runtime;

/// A `Topic` that says nothing. `key` and `value` as far as they could be read; the formats take any type.
pub(crate) fn topic(
    dk: &Runtime,
    item: &syn::ItemStruct,
    key: Option<&syn::Type>,
    value: Option<&syn::Type>,
) -> TokenStream {
    let ident = &item.ident;
    let payload = |ty: Option<&syn::Type>| match (ty, role(item)) {
        (Some(ty), _) => ty.to_token_stream(),
        (None, Role::Synced | Role::Unclear) => quote!(#dk::serde_json::Value),
        (None, Role::Unit | Role::Stateful) => quote!(::std::string::String),
    };
    let (key, value) = (payload(key), payload(value));
    quote! {
        const _: () = {
            #[automatically_derived]
            impl #dk::Topic for #ident {
                type Key = #key;
                type Value = #value;
                type KeyFormat = #dk::probe::AnyFormat;
                type ValueFormat = #dk::probe::AnyFormat;
                const DECLARATION: #dk::TopicDeclaration = #dk::TopicDeclaration::new(
                    ::core::stringify!(#ident),
                    "",
                    #dk::Location { file: ::core::file!(), line: ::core::line!() },
                );
                fn __construct() -> ::core::option::Option<Self> {
                    ::core::option::Option::None
                }
            }
            #[automatically_derived]
            impl #dk::ProducedTopic for #ident {}
        };
    }
}

/// A `Consumer` that says nothing.
pub(crate) fn consumer(dk: &Runtime, item: &syn::ItemStruct) -> TokenStream {
    let ident = &item.ident;
    quote! {
        const _: () = {
            #[automatically_derived]
            impl #dk::Consumer for #ident {
                const DECLARATION: #dk::ConsumerDeclaration = #dk::ConsumerDeclaration::new(
                    ::core::stringify!(#ident),
                    "",
                    &[],
                    #dk::Location { file: ::core::file!(), line: ::core::line!() },
                );
            }
        };
    }
}

/// A `Connector` that says nothing.
pub(crate) fn connector(dk: &Runtime, item: &syn::ItemStruct) -> TokenStream {
    let ident = &item.ident;
    quote! {
        const _: () = {
            #[automatically_derived]
            impl #dk::Connector for #ident {
                const DECLARATION: #dk::ConnectorDeclaration = #dk::ConnectorDeclaration::new(
                    ::core::stringify!(#ident),
                    #dk::Location { file: ::core::file!(), line: ::core::line!() },
                );
            }
        };
    }
}

/// A `SyncModel` that says nothing; nothing at all for a struct with parameters, where it would be a mistake more.
pub(crate) fn sync_model(dk: &Runtime, input: &syn::DeriveInput) -> TokenStream {
    let ident = &input.ident;
    if !input.generics.params.is_empty() {
        return TokenStream::new();
    }
    quote! {
        const _: () = {
            #[automatically_derived]
            impl #dk::SyncModel for #ident {
                type Table = #dk::stub::Table;
                type Patch = #dk::stub::Patch;
                const DESCRIPTOR: #dk::ModelDescriptor = #dk::stub::DESCRIPTOR;
            }
        };
    }
}

/// What makes a struct a model topic, saying nothing.
pub(crate) fn model_consumer(dk: &Runtime, input: &syn::DeriveInput) -> TokenStream {
    let ident = &input.ident;
    if !input.generics.params.is_empty() {
        return TokenStream::new();
    }
    quote! {
        const _: () = {
            #[automatically_derived]
            impl #dk::ModelTopicConsumer for #ident {
                const MODEL_TOPIC: #dk::ModelTopic = #dk::stub::MODEL_TOPIC;
            }
            #[automatically_derived]
            impl #dk::ConsumedTopic for #ident {
                fn __handler() -> #dk::HandlerSource {
                    #dk::HandlerSource::Models(&#dk::stub::MODEL_TOPIC)
                }
            }
        };
    }
}

/// A `KafkaConnectSkip` that saves nothing, so that `save`, `update_rows` and `delete_rows` are there.
pub(crate) fn kafka_skip(dk: &Runtime, input: &syn::DeriveInput, table: &syn::Path) -> TokenStream {
    let (ident, diesel) = (&input.ident, dk.diesel());
    if !input.generics.params.is_empty() {
        return TokenStream::new();
    }
    quote! {
        const _: () = {
            #[automatically_derived]
            impl #dk::SavedRow for #ident {
                const __COLUMNS: &'static [#dk::SavedColumn] = &[];
                fn __table() -> #dk::TableName {
                    ::core::unreachable!()
                }
                fn __kafka_skip(&mut self) -> &mut #dk::KafkaSkip {
                    ::core::unreachable!()
                }
                #dk::postgres! {
                    fn __bind_postgres<'b>(
                        &'b self,
                        _: ::core::primitive::usize,
                        _: #diesel::query_builder::AstPass<'_, 'b, #diesel::pg::Pg>,
                    ) -> #diesel::QueryResult<()> {
                        ::core::result::Result::Ok(())
                    }
                }
                #dk::sqlite! {
                    fn __bind_sqlite<'b>(
                        &'b self,
                        _: ::core::primitive::usize,
                        _: #diesel::query_builder::AstPass<'_, 'b, #diesel::sqlite::Sqlite>,
                    ) -> #diesel::QueryResult<()> {
                        ::core::result::Result::Ok(())
                    }
                }
            }
            #[automatically_derived]
            impl #dk::KafkaConnectSkip for #ident {
                type Table = #table::table;
            }
        };
    }
}

/// A `ReproducedTopic` that says nothing, of any model and any primary key.
pub(crate) fn reproducer(dk: &Runtime, input: &syn::DeriveInput) -> TokenStream {
    let ident = &input.ident;
    if !input.generics.params.is_empty() {
        return TokenStream::new();
    }
    quote! {
        const _: () = {
            #[automatically_derived]
            impl #dk::ReproducedTopic for #ident {
                type Id = #dk::serde_json::Value;
                const __SOURCE: #dk::ReproducedSource = #dk::ReproducedSource {
                    type_name: ::core::stringify!(#ident),
                    template: "",
                    namespace: ::core::option::Option::None,
                    name: #dk::SourceName::Said(""),
                };
                fn __id(
                    _: &#dk::serde_json::Value,
                    _: &#dk::serde_json::Value,
                ) -> ::core::result::Result<Self::Id, #dk::DecodeError> {
                    ::core::unreachable!()
                }
            }
            #[automatically_derived]
            impl<M> #dk::ReproducedModel<M> for #ident {
                fn __load(
                    _: &mut #dk::DbConn,
                    _: Self::Id,
                ) -> ::core::result::Result<::core::option::Option<M>, #dk::ConsumeError> {
                    ::core::unreachable!()
                }
            }
        };
    }
}
