//! The item that an attribute macro stands on.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

use crate::ctx::Ctx;
use crate::diag;
use crate::model::topic::Role;
use crate::symbol::{
    DBZ_CONSUMER, DERIVE_ATTRIBUTE, DIESEL_ATTRIBUTE, MODEL_TOPIC_CONSUMER, REROUTE_ATTRIBUTE, SYNC_ATTRIBUTE,
    SYNC_MODEL,
};

/// Parses the item, which has to be a struct without parameters. `title` names the attribute.
pub(crate) fn structure(ctx: &Ctx, title: &str, item: &TokenStream) -> Option<syn::ItemStruct> {
    let item: syn::Item = ctx.ok(syn::parse2(item.clone()))?;
    let (found, span): (&str, TokenStream) = match &item {
        syn::Item::Struct(item) => {
            if item.generics.params.is_empty() {
                return Some(item.clone());
            }
            let message = diag::help(
                diag::note(
                    format_args!("{title} cannot stand on a struct with parameters"),
                    "what is declared is one thing with one name, known when the program starts",
                ),
                format_args!("declare `struct {};` and give its fields fixed types", item.ident),
            );
            ctx.error(&item.generics, message);
            return None;
        }
        syn::Item::Enum(item) => ("an enum", item.ident.to_token_stream()),
        syn::Item::Union(item) => ("a union", item.ident.to_token_stream()),
        syn::Item::Fn(item) => ("a function", item.sig.ident.to_token_stream()),
        syn::Item::Impl(item) => ("an impl", item.self_ty.to_token_stream()),
        syn::Item::Mod(item) => ("a module", item.ident.to_token_stream()),
        syn::Item::Trait(item) => ("a trait", item.ident.to_token_stream()),
        syn::Item::Type(item) => ("a type alias", item.ident.to_token_stream()),
        other => ("another item", other.to_token_stream()),
    };
    let message = format_args!("{title} stands on a struct, found {found}");
    ctx.error(span, diag::help(message, "write it above `struct Name;`"));
    None
}

/// What a struct is, beside a topic.
///
/// A model is recognised by a derive of ours, or by a helper attribute: where the derives stand above the attribute,
/// the compiler has taken them off, but their helpers are still there.
pub(crate) fn role(item: &syn::ItemStruct) -> Role {
    let is_helper = |attribute: &syn::Attribute| {
        [SYNC_ATTRIBUTE, REROUTE_ATTRIBUTE, DIESEL_ATTRIBUTE].iter().any(|name| attribute.path().is_ident(name))
    };
    if item.attrs.iter().any(is_helper) || item.attrs.iter().any(derives_sync) {
        return Role::Synced;
    }
    match &item.fields {
        fields if fields.is_empty() => Role::Unit,
        syn::Fields::Named(_) if !item.attrs.iter().any(|a| a.path().is_ident(DERIVE_ATTRIBUTE)) => Role::Unclear,
        _ => Role::Stateful,
    }
}

fn derives_sync(attribute: &syn::Attribute) -> bool {
    if !attribute.path().is_ident(DERIVE_ATTRIBUTE) {
        return false;
    }
    let mut found = false;
    // A list that does not parse is the compiler's to report.
    let _ = attribute.parse_nested_meta(|meta| {
        let last = meta.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        found |= [SYNC_MODEL, MODEL_TOPIC_CONSUMER, DBZ_CONSUMER].contains(&last.as_str());
        Ok(())
    });
    found
}

/// The place of a mistake that has no tokens: an option that is missing.
pub(crate) fn attribute_span() -> Span {
    Span::call_site()
}
