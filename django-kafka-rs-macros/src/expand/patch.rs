//! The typed patch of a model: `Option<field's type>` for each column, and how messages fill it.

use std::collections::BTreeMap;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::spanned::Spanned;
use syn::{GenericArgument, Path, PathArguments, Type};

use crate::model::field::{Column, Encoding, Source};
use crate::paths::Runtime;

/// The patch's field for the column at `index`.
pub(super) fn slot(index: usize) -> proc_macro2::Ident {
    format_ident!("__dk_f{}", index, span = Span::mixed_site())
}

/// Names resolved as in the macro, positions as the user wrote them: errors point there, lints stay silent.
pub(super) fn at(tokens: &impl Spanned) -> Span {
    Span::mixed_site().located_at(tokens.span())
}

/// The struct and its `Patch`.
pub(super) fn expand(dk: &Runtime, columns: &[Column]) -> TokenStream {
    let slots = columns.iter().enumerate().map(|(i, column)| {
        let (slot, stored) = (slot(i), column.stored());
        quote_spanned!(Span::mixed_site()=> #slot: ::core::option::Option<#stored>,)
    });
    let columns_of = columns_of(columns);
    let reads = columns.iter().enumerate().filter_map(|(i, column)| read(dk, i, column));
    let adopts = (0..columns.len()).map(|i| {
        let slot = slot(i);
        quote_spanned! {Span::mixed_site()=>
            #i => if let ::core::option::Option::Some(__dk_value) = __dk_from.#slot.take() {
                self.#slot = ::core::option::Option::Some(__dk_value);
            }
        }
    });
    let computes = columns.iter().enumerate().filter_map(|(i, column)| compute(dk, i, column));
    quote_spanned! {Span::mixed_site()=>
        #[derive(::core::default::Default)]
        pub struct __DkPatch {
            #(#slots)*
            __dk_error: ::core::option::Option<#dk::TransformError>,
        }
        #[automatically_derived]
        impl #dk::Patch for __DkPatch {
            fn columns_of(__dk_field: &::core::primitive::str) -> &'static [::core::primitive::usize] {
                match __dk_field {
                    #columns_of
                    _ => &[],
                }
            }
            fn read<'de, D: #dk::serde::Deserializer<'de>>(
                &mut self,
                __dk_column: ::core::primitive::usize,
                __dk_value: D,
                __dk_schema: ::core::option::Option<&#dk::FieldSchema>,
            ) -> ::core::result::Result<(), D::Error> {
                use #dk::probe::{
                    EncodingBySerde as _, EncodingByType as _, EncodingOfNone as _, FinishResult as _,
                    FinishValue as _, NamedForOption as _, NamedForValue as _,
                };
                match __dk_column {
                    #(#reads)*
                    _ => {}
                }
                ::core::result::Result::Ok(())
            }
            fn take_error(&mut self) -> ::core::option::Option<#dk::TransformError> {
                self.__dk_error.take()
            }
            fn adopt(&mut self, __dk_column: ::core::primitive::usize, __dk_from: &mut Self) {
                match __dk_column {
                    #(#adopts)*
                    _ => {}
                }
            }
            fn compute(&mut self, __dk_cx: &#dk::SyncContext<'_>) -> ::core::result::Result<(), #dk::ConsumeError> {
                use #dk::probe::{FinishResult as _, FinishValue as _};
                #(#computes)*
                ::core::result::Result::Ok(())
            }
        }
    }
}

/// The arms of `columns_of`: a message field may go to several columns.
fn columns_of(columns: &[Column]) -> TokenStream {
    let mut by_field: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, column) in columns.iter().enumerate() {
        if let Some(field) = column.message_field() {
            by_field.entry(field).or_default().push(i);
        }
    }
    let arms = by_field.iter().map(|(field, indices)| quote_spanned!(Span::mixed_site()=> #field => &[#(#indices),*],));
    arms.collect()
}

/// How a column is read from its message field.
fn read(dk: &Runtime, index: usize, column: &Column) -> Option<TokenStream> {
    let Source::Message { encoding, with, .. } = &column.source else { return None };
    let slot = slot(index);
    let Some(function) = with else {
        let ty = &column.ty;
        let by_schema = column.scale_by_schema.as_ref().map(|_| {
            let dk = dk.at(at(ty));
            Encoding { path: quote_spanned!(at(ty)=> #dk::dbz::FromSchema) }
        });
        let value = match encoding.as_ref().or(by_schema.as_ref()) {
            Some(encoding) => {
                let wrapped = wrap(&dk.at(at(&encoding.path)), ty, encoding);
                quote_spanned!(at(&encoding.path)=> #dk::probe::read_named::<#ty, #wrapped, D>(__dk_value, __dk_schema)?)
            }
            None => quote_spanned! {at(ty)=>
                #dk::probe::read::<#ty, _, D>(
                    &(&&#dk::probe::EncodingOf::<#ty>::new()).encoding(),
                    __dk_value,
                    __dk_schema,
                )?
            },
        };
        let value = match &column.serialize_as {
            Some(stored) => quote_spanned!(at(stored)=> #value.map(::core::convert::Into::<#stored>::into)),
            None => value,
        };
        return Some(quote_spanned!(Span::mixed_site()=> #index => { self.#slot = #value; }));
    };
    let reading = match encoding {
        None => quote_spanned! {at(function)=>
            __dk_transform.read(&(&&__dk_transform.input()).encoding(), __dk_value, __dk_schema)?
        },
        Some(Encoding { path }) => quote_spanned! {at(path)=>
            __dk_transform.read_named(&(&__dk_transform.input()).named::<#path>(), __dk_value, __dk_schema)?
        },
    };
    let name = &column.name;
    let finished = given(dk, column, function);
    Some(quote_spanned! {at(function)=>
        #index => {
            let __dk_transform = #dk::probe::transform(#function);
            self.#slot = match #reading {
                ::core::option::Option::None => ::core::option::Option::None,
                ::core::option::Option::Some(__dk_output) => match (&__dk_output).finish() {
                    ::core::result::Result::Ok(__dk_value) => ::core::option::Option::Some(#finished),
                    ::core::result::Result::Err(__dk_error) => {
                        self.__dk_error =
                            ::core::option::Option::Some(#dk::TransformError::new(#name, __dk_error));
                        return ::core::result::Result::Err(<D::Error as #dk::serde::de::Error>::custom(#name));
                    }
                },
            };
        }
    })
}

/// How a column is computed from the message.
fn compute(dk: &Runtime, index: usize, column: &Column) -> Option<TokenStream> {
    let (slot, name) = (slot(index), &column.name);
    let function = match &column.source {
        Source::Compute(function) => function,
        Source::Mark => {
            let (ty, span) = (&column.ty, at(&column.ty));
            let mark = quote_spanned!(span=> <#ty as ::core::convert::From<::core::primitive::bool>>::from(true));
            let mark = converted(column, &mark);
            return Some(quote_spanned!(span=> self.#slot = ::core::option::Option::Some(#mark);));
        }
        Source::Message { .. } | Source::DefaultOnly => return None,
    };
    let finished = given(dk, column, function);
    Some(quote_spanned! {at(function)=>
        let __dk_function: fn(&#dk::SyncContext<'_>) -> _ = #function;
        let __dk_output = #dk::probe::output(__dk_function(__dk_cx));
        match (&__dk_output).finish() {
            ::core::result::Result::Ok(__dk_value) => self.#slot = ::core::option::Option::Some(#finished),
            ::core::result::Result::Err(__dk_error) => {
                return ::core::result::Result::Err(::core::convert::Into::into(
                    #dk::TransformError::new(#name, __dk_error),
                ));
            }
        }
    })
}

/// What a function returned, which must be of the field's type, as what is stored.
fn given(dk: &Runtime, column: &Column, function: &Path) -> TokenStream {
    let ty = &column.ty;
    converted(column, &quote_spanned!(at(function)=> #dk::probe::given::<#ty, _>(__dk_value)))
}

/// A value of the field's type as what is stored.
pub(super) fn converted(column: &Column, value: &TokenStream) -> TokenStream {
    match &column.serialize_as {
        None => value.clone(),
        Some(stored) => {
            let ty = &column.ty;
            quote_spanned!(at(stored)=> <#ty as ::core::convert::Into<#stored>>::into(#value))
        }
    }
}

/// The encoding for the field's type: `Opt` for an `Option<…>`, `Seq` for a `Vec<…>` that is no `Vec<u8>`.
fn wrap(dk: &Runtime, ty: &Type, encoding: &Encoding) -> TokenStream {
    let span = at(&encoding.path);
    match ty {
        Type::Group(group) => return wrap(dk, &group.elem, encoding),
        Type::Paren(paren) => return wrap(dk, &paren.elem, encoding),
        Type::Path(path) => {
            if let Some(segment) = path.path.segments.last()
                && let PathArguments::AngleBracketed(arguments) = &segment.arguments
                && let Some(GenericArgument::Type(inner)) = arguments.args.first()
            {
                if segment.ident == "Option" {
                    let inner = wrap(dk, inner, encoding);
                    return quote_spanned!(span=> #dk::Opt<#inner>);
                }
                if segment.ident == "Vec" && inner.to_token_stream().to_string() != "u8" {
                    let inner = wrap(dk, inner, encoding);
                    return quote_spanned!(span=> #dk::Seq<#inner>);
                }
            }
        }
        _ => {}
    }
    encoding.path.clone()
}
