//! A model's `SyncModel`, its columns, and its registration.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Path;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::patch::at;
use super::{patch, register, row};
use crate::model::field::Column;
use crate::model::sync_model::{Model, Relation};
use crate::model::sync_options::{Envelope, SyncOptions};
use crate::paths::Runtime;

/// The alias of a column, so that a column which the table lacks is one error, at its field.
fn column_type(index: usize) -> Ident {
    format_ident!("__DkColumn{}", index, span = Span::mixed_site())
}

/// The alias of a column's SQL type.
pub(super) fn sql_type(index: usize) -> Ident {
    format_ident!("__DkSql{}", index, span = Span::mixed_site())
}

/// Everything for a model. `consumer`: what makes it a topic too.
pub(crate) fn model(dk: &Runtime, model: &Model, consumer: Option<&TokenStream>) -> TokenStream {
    let aliases = aliases(dk, model);
    let patch = patch::expand(dk, &model.columns);
    let row = row::expand(dk, &model.columns);
    let checks = checks(dk, &model.columns);
    let relation_checks = model.relations.iter().map(|relation| relation_check(dk, model, relation));
    let relation_checks: TokenStream = relation_checks.collect();
    let sync_model = sync_model(dk, model);
    let column_of = column_of(dk, model);
    let reads = reads(model);
    let ident = &model.ident;
    let declaration = quote_spanned! {Span::mixed_site()=>
        #dk::Declaration::Model(&<#ident as #dk::SyncModel>::DESCRIPTOR)
    };
    let register = register::element(dk, "__DK_MODEL", &declaration);
    quote_spanned! {Span::mixed_site()=>
        const _: () = {
            #aliases
            #patch
            #row
            #checks
            #relation_checks
            #sync_model
            #column_of
            #consumer
            #reads
            #register
        };
    }
}

fn aliases(dk: &Runtime, model: &Model) -> TokenStream {
    let (table, diesel) = (&model.table, dk.diesel());
    let aliases = model.columns.iter().enumerate().map(|(i, Column { sql_name, .. })| {
        let (column_type, sql_type) = (column_type(i), sql_type(i));
        quote_spanned! {Span::mixed_site()=>
            type #column_type = #table::columns::#sql_name;
            type #sql_type = <#column_type as #diesel::expression::Expression>::SqlType;
        }
    });
    // By way of a column, so that a table which is not there is one error.
    let first = column_type(0);
    let table = quote_spanned! {Span::mixed_site()=>
        type __DkTable = <#first as #diesel::Column>::Table;
    };
    aliases.chain([table]).collect()
}

/// What must hold of the fields' types, said at each type.
fn checks(dk: &Runtime, columns: &[Column]) -> TokenStream {
    let checks = columns.iter().enumerate().map(|(i, column)| {
        let (stored, sql_type) = (column.stored(), sql_type(i));
        let lookup = column
            .in_lookup
            .then(|| quote_spanned!(at(stored)=> const _: () = #dk::probe::assert_lookup::<#stored>();));
        let assert = if is_option(stored) { "assert_nullable_column" } else { "assert_column" };
        let assert = Ident::new(assert, at(stored));
        quote_spanned! {at(stored)=>
            const _: () = #dk::probe::#assert::<#stored, #sql_type>();
            #lookup
        }
    });
    checks.collect()
}

/// What only the compiler knows of a relation: that the parent is a model, has one primary key, or this field.
fn relation_check(dk: &Runtime, model: &Model, Relation { column, parent, field }: &Relation) -> TokenStream {
    let id = model.columns.get(*column).map(|column| {
        let ty = column.stored();
        quote_spanned!(at(ty)=> const _: () = #dk::probe::assert_relation_id::<#ty>();)
    });
    let span = field.as_ref().map_or_else(|| parent.span(), Ident::span);
    // The user's own span, not the macro's: a panic in a constant is shown where its call stands.
    let dk = dk.at(span);
    let descriptor = quote_spanned!(parent.span()=> &<#parent as #dk::SyncModel>::DESCRIPTOR);
    let check = match field {
        Some(field) => {
            let name = field.unraw().to_string();
            quote_spanned!(span=> const _: () = #dk::check_relation_field(#descriptor, #name);)
        }
        None => quote_spanned!(span=> const _: () = #dk::check_relation(#descriptor);),
    };
    quote!(#id #check)
}

/// Whether the type is written `Option<…>`.
pub(super) fn is_option(ty: &syn::Type) -> bool {
    match ty {
        syn::Type::Group(group) => is_option(&group.elem),
        syn::Type::Path(path) => path.path.segments.last().is_some_and(|segment| {
            segment.ident == "Option" && matches!(segment.arguments, syn::PathArguments::AngleBracketed(_))
        }),
        _ => false,
    }
}

fn sync_model(dk: &Runtime, model: &Model) -> TokenStream {
    let (ident, table) = (&model.ident, &model.table);
    let type_name = ident.unraw().to_string();
    let table_name = table.segments.last().map(|segment| segment.ident.unraw().to_string()).unwrap_or_default();
    let diesel = dk.diesel();
    let columns = model.columns.iter().enumerate().map(|(i, column)| {
        let (name, stored, insert_default) = (&column.name, column.stored(), column.insert_default);
        let (column_type, sql_type) = (column_type(i), sql_type(i));
        let message_field = option(column.message_field().map(|field| quote_spanned!(Span::mixed_site()=> #field)));
        quote_spanned! {Span::mixed_site()=>
            #dk::ColumnDescriptor {
                field: #name,
                column: <#column_type as #diesel::Column>::NAME,
                message_field: #message_field,
                insert_default: #insert_default,
                stores_postgres: #dk::stores_postgres!(#stored, #sql_type),
                stores_sqlite: #dk::stores_sqlite!(#stored, #sql_type),
            }
        }
    });
    let options = options(dk, &model.options, &ident.clone().into());
    let relations = model.relations.iter().map(|Relation { column, parent, field }| {
        let field = option(field.as_ref().map(|field| {
            let name = field.unraw().to_string();
            quote_spanned!(Span::mixed_site()=> #name)
        }));
        quote_spanned! {at(parent)=>
            #dk::RelationDescriptor {
                column: #column,
                // By a function: a model may refer to itself.
                model: || const { &<#parent as #dk::SyncModel>::DESCRIPTOR },
                field: #field,
            }
        }
    });
    let (primary_key, location) = (&model.primary_key, dk.location());
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl #dk::SyncModel for #ident {
            type Table = __DkTable;
            type Patch = __DkPatch;
            const DESCRIPTOR: #dk::ModelDescriptor = #dk::ModelDescriptor {
                type_name: #type_name,
                columns: &[#(#columns),*],
                primary_key: &[#(#primary_key),*],
                relations: &[#(#relations),*],
                options: #options,
                table: || {
                    #dk::table_name(#table_name, <__DkTable as #diesel::associations::HasTable>::table())
                },
                decode: #dk::decode_message::<__DkPatch>,
                location: #location,
            };
        }
    }
}

/// `SyncOptions { … }` of a model or a topic; `model` is what `lookup_with` finds.
pub(super) fn options(dk: &Runtime, options: &SyncOptions, model: &Path) -> TokenStream {
    let exclude = options.exclude.iter().map(|field| &field.name);
    let lookup = option(options.lookup.as_ref().map(|fields| {
        let fields = fields.iter().map(|entry| {
            let (field, whole_key) = (entry.field.unraw().to_string(), entry.whole_key);
            quote_spanned!(Span::mixed_site()=> #dk::LookupField { field: #field, whole_key: #whole_key })
        });
        quote_spanned!(Span::mixed_site()=> &[#(#fields),*])
    }));
    let lookup_with = option(options.lookup_with.as_ref().map(|path| {
        quote_spanned! {at(path)=> |__dk_cx| {
            let __dk_function: fn(
                &#dk::SyncContext<'_>,
            ) -> ::core::result::Result<#dk::Lookup<#model>, #dk::ConsumeError> = #path;
            __dk_function(__dk_cx).map(::core::convert::Into::into)
        } }
    }));
    // By a variable of the function's type, so that an error is about the function and not about an `Option` around it.
    let typed = |path: &Path, ty: TokenStream| {
        quote_spanned! {at(path)=> {
            let __dk_function: #ty = #path;
            __dk_function
        } }
    };
    let is_deletion = option(options.is_deletion.as_ref().map(|path| {
        let ty = quote_spanned! {at(path)=>
            fn(&#dk::SyncContext<'_>) -> ::core::result::Result<::core::primitive::bool, #dk::ConsumeError>
        };
        typed(path, ty)
    }));
    let after = option(options.after.as_ref().map(|path| {
        let ty = quote_spanned! {at(path)=>
            fn(&#dk::SyncContext<'_>, #dk::Applied, &mut #dk::DbConn) -> ::core::result::Result<(), #dk::ConsumeError>
        };
        typed(path, ty)
    }));
    let relations_with = option(options.relations.with.as_ref().map(|(_, path)| {
        let ty = quote_spanned! {at(path)=>
            fn(&#dk::SyncContext<'_>) -> ::core::result::Result<
                ::std::vec::Vec<#dk::ModelRelation>,
                #dk::ConsumeError,
            >
        };
        typed(path, ty)
    }));
    let deleted_field = option(options.deleted_field.as_ref().map(|name| quote_spanned!(at(name)=> #name)));
    let envelope = option(options.envelope.as_ref().map(|(envelope, _)| {
        let variant = match envelope {
            Envelope::Auto => "Auto",
            Envelope::Flat => "Flat",
            Envelope::Full => "Full",
        };
        let variant = Ident::new(variant, Span::mixed_site());
        quote_spanned!(Span::mixed_site()=> #dk::Envelope::#variant)
    }));
    let off = |off: bool| option(off.then(|| quote_spanned!(Span::mixed_site()=> false)));
    let (reduce, guard) = (off(options.reduce_off), off(options.guard_off));
    quote_spanned! {Span::mixed_site()=>
        #dk::SyncOptions {
            exclude: &[#(#exclude),*],
            lookup: #lookup,
            lookup_with: #lookup_with,
            is_deletion: #is_deletion,
            deleted_field: #deleted_field,
            relations_with: #relations_with,
            after: #after,
            envelope: #envelope,
            reduce: #reduce,
            guard: #guard,
        }
    }
}

fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote_spanned!(Span::mixed_site()=> ::core::option::Option::Some(#value)),
        None => quote_spanned!(Span::mixed_site()=> ::core::option::Option::None),
    }
}

/// `Lookup::by(table::column, value)` is checked by these.
fn column_of(dk: &Runtime, model: &Model) -> TokenStream {
    let ident = &model.ident;
    let impls = model.columns.iter().enumerate().map(|(i, column)| {
        let (column_type, ty, slot) = (column_type(i), &column.ty, patch::slot(i));
        let value = patch::converted(column, &quote_spanned!(Span::mixed_site()=> __dk_value));
        quote_spanned! {Span::mixed_site()=>
            #[automatically_derived]
            impl #dk::ColumnOf<#ident> for #column_type {
                type Field = #ty;
                const INDEX: ::core::primitive::usize = #i;
                fn set(__dk_patch: &mut __DkPatch, __dk_value: #ty) {
                    __dk_patch.#slot = ::core::option::Option::Some(#value);
                }
            }
        }
    });
    impls.collect()
}

/// Reads every field, so that a model which is only synced is no dead code.
fn reads(model: &Model) -> TokenStream {
    let (ident, fields) = (&model.ident, &model.fields);
    quote_spanned! {Span::mixed_site()=>
        const _: fn(&#ident) = |__dk_model| {
            #(let _ = &__dk_model.#fields;)*
        };
    }
}
