//! `SavedRow` and `KafkaConnectSkip`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt;

use super::patch::at;
use super::sync::{is_option, sql_type};
use crate::model::skip_model::{SkipColumn, SkipModel};
use crate::paths::Runtime;

/// Everything that the derive adds.
pub(crate) fn expand(dk: &Runtime, model: &SkipModel) -> TokenStream {
    let SkipModel { ident, table, columns, mark: (mark, mark_type) } = model;
    let diesel = dk.diesel();
    let aliases = columns.iter().enumerate().map(|(i, SkipColumn { sql_name, .. })| {
        let sql_type = sql_type(i);
        quote_spanned! {Span::mixed_site()=>
            type #sql_type = <#table::columns::#sql_name as #diesel::expression::Expression>::SqlType;
        }
    });
    let checks = columns.iter().enumerate().map(|(i, SkipColumn { ty, .. })| {
        let sql_type = sql_type(i);
        let assert = if is_option(ty) { "assert_nullable_column" } else { "assert_column" };
        let assert = Ident::new(assert, at(ty));
        quote_spanned!(at(ty)=> const _: () = #dk::probe::#assert::<#ty, #sql_type>();)
    });
    let described = columns.iter().map(|column| {
        let SkipColumn { sql_name, in_key, in_update, in_insert, .. } = column;
        quote_spanned! {Span::mixed_site()=>
            #dk::SavedColumn {
                name: <#table::columns::#sql_name as #diesel::Column>::NAME,
                in_key: #in_key,
                in_update: #in_update,
                in_insert: #in_insert,
            }
        }
    });
    let first = columns.first().map(|column| &column.sql_name);
    let table_name = table.segments.last().map(|segment| segment.ident.unraw().to_string()).unwrap_or_default();
    let binders = binders(dk, columns);
    let mark = quote_spanned!(at(mark_type)=> &mut self.#mark);
    quote_spanned! {Span::mixed_site()=>
        const _: () = {
            #(#aliases)*
            #(#checks)*
            // By way of a column, so that a table which is not there is one error.
            type __DkTable = <#table::columns::#first as #diesel::Column>::Table;
            #[automatically_derived]
            impl #dk::SavedRow for #ident {
                const __COLUMNS: &'static [#dk::SavedColumn] = &[#(#described),*];
                fn __table() -> #dk::TableName {
                    #dk::table_name(#table_name, <__DkTable as #diesel::associations::HasTable>::table())
                }
                fn __kafka_skip(&mut self) -> &mut #dk::KafkaSkip {
                    #mark
                }
                #binders
            }
            #[automatically_derived]
            impl #dk::KafkaConnectSkip for #ident {
                type Table = __DkTable;
            }
        };
    }
}

/// The functions that bind a column, for each database that the runtime has.
fn binders(dk: &Runtime, columns: &[SkipColumn]) -> TokenStream {
    let bind = |binder: &str| -> TokenStream {
        let binder = Ident::new(binder, Span::mixed_site());
        let arm = |(i, SkipColumn { field, .. }): (usize, &SkipColumn)| {
            let sql_type = sql_type(i);
            quote_spanned! {Span::mixed_site()=>
                #i => (&#dk::probe::#binder::<_, #sql_type>::new(&self.#field)).bind(__dk_out),
            }
        };
        columns.iter().enumerate().map(arm).collect()
    };
    let (bind_postgres, bind_sqlite) = (bind("PostgresBind"), bind("SqliteBind"));
    let diesel = dk.diesel();
    quote_spanned! {Span::mixed_site()=>
        #dk::postgres! {
            fn __bind_postgres<'b>(
                &'b self,
                __dk_column: ::core::primitive::usize,
                __dk_out: #diesel::query_builder::AstPass<'_, 'b, #diesel::pg::Pg>,
            ) -> #diesel::QueryResult<()> {
                use #dk::probe::{BindPostgres as _, BindPostgresNone as _};
                match __dk_column {
                    #bind_postgres
                    _ => ::core::result::Result::Ok(()),
                }
            }
        }
        #dk::sqlite! {
            fn __bind_sqlite<'b>(
                &'b self,
                __dk_column: ::core::primitive::usize,
                __dk_out: #diesel::query_builder::AstPass<'_, 'b, #diesel::sqlite::Sqlite>,
            ) -> #diesel::QueryResult<()> {
                use #dk::probe::{BindSqlite as _, BindSqliteNone as _};
                match __dk_column {
                    #bind_sqlite
                    _ => ::core::result::Result::Ok(()),
                }
            }
        }
    }
}
