//! `ReproducedTopic` and `ReproducedModel`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::Path;

use super::patch::at;
use crate::model::reproducer::Reproducer;
use crate::paths::Runtime;

/// Everything that the derive adds.
pub(crate) fn expand(dk: &Runtime, reproducer: &Reproducer) -> TokenStream {
    let Reproducer { ident, model, .. } = reproducer;
    let source = source(dk, reproducer);
    let Some(model) = model else {
        // Any model will do: nothing of it is loaded where `reproduce` is the user's own.
        return quote_spanned! {Span::mixed_site()=>
            const _: () = {
                #[automatically_derived]
                impl #dk::ReproducedTopic for #ident {
                    type Id = #dk::serde_json::Value;
                    const __SOURCE: #dk::ReproducedSource = #source;
                    fn __id(
                        __dk_key: &#dk::serde_json::Value,
                        _: &#dk::serde_json::Value,
                    ) -> ::core::result::Result<Self::Id, #dk::DecodeError> {
                        ::core::result::Result::Ok(::core::clone::Clone::clone(__dk_key))
                    }
                }
                #[automatically_derived]
                impl<M> #dk::ReproducedModel<M> for #ident {
                    fn __load(
                        _: &mut #dk::DbConn,
                        _: Self::Id,
                    ) -> ::core::result::Result<::core::option::Option<M>, #dk::ConsumeError> {
                        ::core::result::Result::Err(::core::convert::From::from(
                            "`#[reproduce(…)]` names no model, so no row is loaded: implement `reproduce`",
                        ))
                    }
                }
            };
        };
    };
    let (id, load) = (id(dk), load(dk));
    // At the model's span, so that one which lacks something is one error there.
    let model_dk = dk.at(at(model));
    let loadable = quote_spanned!(at(model)=> #model: #model_dk::probe::Loadable,);
    let id_type = asked(&model_dk, model, "Id");
    quote_spanned! {Span::mixed_site()=>
        const _: () = {
            type __DkModel = #model;
            type __DkId = #id_type;
            #[automatically_derived]
            impl #dk::ReproducedTopic for #ident
            where
                #loadable
            {
                type Id = __DkId;
                const __SOURCE: #dk::ReproducedSource = #source;
                fn __id(
                    __dk_key: &#dk::serde_json::Value,
                    __dk_row: &#dk::serde_json::Value,
                ) -> ::core::result::Result<Self::Id, #dk::DecodeError> {
                    #id
                }
            }
            #[automatically_derived]
            impl #dk::ReproducedModel<__DkModel> for #ident
            where
                #loadable
            {
                fn __load(
                    __dk_conn: &mut #dk::DbConn,
                    __dk_id: Self::Id,
                ) -> ::core::result::Result<::core::option::Option<__DkModel>, #dk::ConsumeError> {
                    #load
                }
            }
        };
    }
}

/// `<Model as Loadable>::Part`.
fn asked(dk: &Runtime, model: &Path, part: &str) -> TokenStream {
    let part = Ident::new(part, at(model));
    quote_spanned!(at(model)=> <#model as #dk::probe::Loadable>::#part)
}

fn source(dk: &Runtime, reproducer: &Reproducer) -> TokenStream {
    let Reproducer { ident, model, namespace, name } = reproducer;
    let type_name = format!("Reproducer<{ident}>");
    let before = namespace.as_ref().map_or_else(|| "${reproducer_config.namespace}".to_owned(), syn::LitStr::value);
    let behind = match (name, model) {
        (Some(name), _) => name.value(),
        (None, Some(model)) => format!("${{table of {}}}", plain(model)),
        (None, None) => String::new(),
    };
    let template = format!("{before}.{behind}");
    let namespace = match namespace {
        Some(namespace) => quote_spanned!(Span::mixed_site()=> ::core::option::Option::Some(#namespace)),
        None => quote_spanned!(Span::mixed_site()=> ::core::option::Option::None),
    };
    let name = match (name, model) {
        (None, Some(model)) => {
            let table = asked(&dk.at(at(model)), model, "Table");
            quote_spanned!(at(model)=> #dk::SourceName::Table(#dk::probe::plain_table_name::<#table>))
        }
        (name, _) => quote_spanned!(Span::mixed_site()=> #dk::SourceName::Said(#name)),
    };
    quote_spanned! {Span::mixed_site()=>
        #dk::ReproducedSource { type_name: #type_name, template: #template, namespace: #namespace, name: #name }
    }
}

fn plain(model: &Path) -> String {
    model.to_token_stream().to_string().replace(' ', "")
}

/// The primary key's columns and types are asked of Diesel's own traits: only the compiler knows them.
fn id(dk: &Runtime) -> TokenStream {
    quote_spanned! {Span::mixed_site()=>
        #[allow(unused_imports)]
        use #dk::probe::{IdBySerde as _, IdByType as _};
        let __dk_columns = <__DkModel as #dk::probe::Loadable>::key_columns();
        let __dk_parts = #dk::probe::key_parts(&__dk_columns, __dk_key, __dk_row)?;
        (&&#dk::probe::ReadId::<__DkId>::new()).read(__dk_parts)
    }
}

fn load(dk: &Runtime) -> TokenStream {
    quote_spanned! {Span::mixed_site()=>
        #dk::postgres! {
            #[allow(irrefutable_let_patterns)]
            if let #dk::DbConn::Pg(__dk_conn) = __dk_conn {
                #[allow(unused_imports)]
                use #dk::probe::{LoadByPostgres as _, LoadByPostgresNot as _};
                return ::core::result::Result::Ok(
                    (&&#dk::probe::LoadPostgres::<__DkModel, __DkId>::new()).load(__dk_conn, __dk_id)?,
                );
            }
        }
        #dk::sqlite! {
            #[allow(irrefutable_let_patterns)]
            if let #dk::DbConn::Sqlite(__dk_conn) = __dk_conn {
                #[allow(unused_imports)]
                use #dk::probe::{LoadBySqlite as _, LoadBySqliteNot as _};
                return ::core::result::Result::Ok(
                    (&&#dk::probe::LoadSqlite::<__DkModel, __DkId>::new()).load(__dk_conn, __dk_id)?,
                );
            }
        }
        #[allow(unreachable_code)]
        ::core::result::Result::Ok(::core::option::Option::None)
    }
}
