//! The patch behind a pointer: `Row`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

use super::patch::{at, converted, slot};
use super::sync::sql_type;
use crate::model::field::Column;
use crate::paths::Runtime;

/// `impl Row`.
pub(super) fn expand(dk: &Runtime, columns: &[Column]) -> TokenStream {
    let present = (0..columns.len()).map(|i| {
        let slot = slot(i);
        quote_spanned! {Span::mixed_site()=>
            if self.#slot.is_some() {
                __dk_set = __dk_set.with(#i);
            }
        }
    });
    let defaults = columns.iter().enumerate().filter(|(_, column)| column.insert_default).map(|(i, column)| {
        let (slot, ty) = (slot(i), &column.ty);
        let value = quote_spanned!(at(ty)=> <#ty as ::core::default::Default>::default());
        let value = converted(column, &value);
        quote_spanned! {Span::mixed_site()=>
            if self.#slot.is_none() {
                self.#slot = ::core::option::Option::Some(#value);
            }
        }
    });
    let (Arms { hash, eq, id }, binders) = (arms(dk, columns.len()), binders(dk, columns.len()));
    let fill = (0..columns.len()).map(|i| {
        let slot = slot(i);
        quote_spanned! {Span::mixed_site()=>
            if __dk_columns.contains(#i) {
                self.#slot = __dk_earlier.#slot.take();
            }
        }
    });
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl #dk::Row for __DkPatch {
            fn present(&self) -> #dk::ColumnSet {
                let mut __dk_set = #dk::ColumnSet::EMPTY;
                #(#present)*
                __dk_set
            }
            fn fill_insert_defaults(&mut self) {
                #(#defaults)*
            }
            fn hash_column(
                &self,
                __dk_column: ::core::primitive::usize,
                __dk_state: &mut dyn ::core::hash::Hasher,
            ) -> ::core::primitive::bool {
                use #dk::probe::{HashFeed as _, HashNone as _};
                match __dk_column {
                    #hash
                    _ => false,
                }
            }
            fn eq_column(
                &self,
                __dk_column: ::core::primitive::usize,
                __dk_other: &dyn #dk::Row,
            ) -> ::core::primitive::bool {
                use #dk::probe::{HashFeed as _, HashNone as _};
                let ::core::option::Option::Some(__dk_other) = __dk_other.as_any().downcast_ref::<Self>() else {
                    return false;
                };
                match __dk_column {
                    #eq
                    _ => false,
                }
            }
            fn id_value(&self, __dk_column: ::core::primitive::usize) -> #dk::IdValue {
                use #dk::probe::{IdFeed as _, IdNone as _};
                match __dk_column {
                    #id
                    _ => #dk::IdValue::Absent,
                }
            }
            fn take_from(&mut self, __dk_columns: #dk::ColumnSet, __dk_earlier: &mut dyn #dk::Row) {
                let ::core::option::Option::Some(__dk_earlier) =
                    __dk_earlier.as_any_mut().downcast_mut::<Self>()
                else {
                    return;
                };
                #(#fill)*
            }
            #binders
            fn as_any_mut(&mut self) -> &mut dyn ::core::any::Any {
                self
            }
            fn as_any(&self) -> &dyn ::core::any::Any {
                self
            }
        }
    }
}

/// The arms of the functions that compare a column.
#[derive(Default)]
struct Arms {
    hash: TokenStream,
    eq: TokenStream,
    id: TokenStream,
}

fn arms(dk: &Runtime, columns: usize) -> Arms {
    let mut arms = Arms::default();
    for i in 0..columns {
        let slot = slot(i);
        arms.hash.extend(quote_spanned! {Span::mixed_site()=>
            #i => match &self.#slot {
                ::core::option::Option::Some(__dk_value) => (&#dk::probe::HashOf(__dk_value)).feed(__dk_state),
                ::core::option::Option::None => false,
            },
        });
        arms.id.extend(quote_spanned! {Span::mixed_site()=>
            #i => match &self.#slot {
                ::core::option::Option::Some(__dk_value) => (&#dk::probe::IdOf(__dk_value)).id_value(),
                ::core::option::Option::None => #dk::IdValue::Absent,
            },
        });
        arms.eq.extend(quote_spanned! {Span::mixed_site()=>
            #i => match (&self.#slot, &__dk_other.#slot) {
                (::core::option::Option::Some(__dk_a), ::core::option::Option::Some(__dk_b)) => {
                    (&#dk::probe::HashOf(__dk_a)).same(&#dk::probe::HashOf(__dk_b))
                }
                _ => false,
            },
        });
    }
    arms
}

/// The functions that bind a column, for each database that the runtime has.
fn binders(dk: &Runtime, columns: usize) -> TokenStream {
    let bind = |binder: &str| -> TokenStream {
        let binder = Ident::new(binder, Span::mixed_site());
        let arm = |i: usize| {
            let (slot, sql_type) = (slot(i), sql_type(i));
            quote_spanned! {Span::mixed_site()=>
                #i => if let ::core::option::Option::Some(__dk_value) = &self.#slot {
                    return (&#dk::probe::#binder::<_, #sql_type>::new(__dk_value)).bind(__dk_out);
                }
            }
        };
        (0..columns).map(arm).collect()
    };
    let array = |i: usize| {
        let (slot, sql_type) = (slot(i), sql_type(i));
        quote_spanned! {Span::mixed_site()=>
            #i => (&#dk::probe::PostgresArrayBind::<_, #sql_type>::new(__dk_rows, |__dk_row| {
                match __dk_row.as_any().downcast_ref::<Self>() {
                    ::core::option::Option::Some(__dk_row) => __dk_row.#slot.as_ref(),
                    ::core::option::Option::None => ::core::option::Option::None,
                }
            })).array(),
        }
    };
    let (bind_postgres, bind_sqlite) = (bind("PostgresBind"), bind("SqliteBind"));
    let postgres_array: TokenStream = (0..columns).map(array).collect();
    let diesel = dk.diesel();
    quote_spanned! {Span::mixed_site()=>
        #dk::postgres! {
            fn bind_postgres<'b>(
                &'b self,
                __dk_column: ::core::primitive::usize,
                mut __dk_out: #diesel::query_builder::AstPass<'_, 'b, #diesel::pg::Pg>,
            ) -> #diesel::QueryResult<()> {
                use #dk::probe::{BindPostgres as _, BindPostgresNone as _};
                match __dk_column {
                    #bind_postgres
                    _ => {}
                }
                __dk_out.push_sql("NULL");
                ::core::result::Result::Ok(())
            }
            fn postgres_array<'b>(
                &self,
                __dk_column: ::core::primitive::usize,
                __dk_rows: &'b [&'b dyn #dk::Row],
            ) -> #diesel::QueryResult<#dk::PostgresArray<'b>> {
                use #dk::probe::{ArrayPostgres as _, ArrayPostgresNone as _};
                match __dk_column {
                    #postgres_array
                    _ => #dk::probe::no_column(),
                }
            }
        }
        #dk::sqlite! {
            fn bind_sqlite<'b>(
                &'b self,
                __dk_column: ::core::primitive::usize,
                mut __dk_out: #diesel::query_builder::AstPass<'_, 'b, #diesel::sqlite::Sqlite>,
            ) -> #diesel::QueryResult<()> {
                use #dk::probe::{BindSqlite as _, BindSqliteNone as _};
                match __dk_column {
                    #bind_sqlite
                    _ => {}
                }
                __dk_out.push_sql("NULL");
                ::core::result::Result::Ok(())
            }
        }
    }
}
