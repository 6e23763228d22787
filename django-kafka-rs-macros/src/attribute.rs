//! The attribute macros from end to end: read, check, expand, or report and fall back.

use proc_macro2::TokenStream;
use quote::quote;

use crate::ctx::Ctx;
use crate::{attr, check, expand, fallback, symbol};

/// `#[topic(…)]`: the item, and what it adds.
pub(crate) fn topic(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let ctx = Ctx::new();
    let options = attr::topic::read(&ctx, arguments);
    let (dk, key, value) = (options.dk.clone(), options.key.clone(), options.value.clone());
    let structure = attr::item::structure(&ctx, symbol::TOPIC.title, item);
    let topic = structure.as_ref().and_then(|structure| check::topic(&ctx, options, structure));
    match (ctx.finish(), topic, structure) {
        (Ok(()), Some(topic), _) => {
            let code = expand::topic::expand(&topic);
            quote!(#item #code)
        }
        (errors, _, Some(structure)) => {
            let errors = errors.err();
            let stub = fallback::topic(&dk, &structure, key.as_ref(), value.as_ref());
            quote!(#item #errors #stub)
        }
        (errors, _, None) => {
            let errors = errors.err();
            quote!(#item #errors)
        }
    }
}

/// `#[consumer(…)]`: the item, and what it adds.
pub(crate) fn consumer(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let ctx = Ctx::new();
    let options = attr::consumer::read(&ctx, arguments);
    let dk = options.dk.clone();
    let structure = attr::item::structure(&ctx, symbol::CONSUMER.title, item);
    let consumer = structure.as_ref().and_then(|structure| check::consumer(&ctx, options, structure));
    match (ctx.finish(), consumer, structure) {
        (Ok(()), Some(consumer), _) => {
            let code = expand::consumer::expand(&consumer);
            quote!(#item #code)
        }
        (errors, _, Some(structure)) => {
            let errors = errors.err();
            let stub = fallback::consumer(&dk, &structure);
            quote!(#item #errors #stub)
        }
        (errors, _, None) => {
            let errors = errors.err();
            quote!(#item #errors)
        }
    }
}

/// `#[connector(…)]`: the item, and what it adds.
pub(crate) fn connector(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let ctx = Ctx::new();
    let options = attr::connector::read(&ctx, arguments);
    let dk = options.dk.clone();
    let structure = attr::item::structure(&ctx, symbol::CONNECTOR.title, item);
    let connector = structure.as_ref().and_then(|structure| check::connector(&ctx, options, structure));
    match (ctx.finish(), connector, structure) {
        (Ok(()), Some(connector), _) => {
            let code = expand::connector::expand(&connector);
            quote!(#item #code)
        }
        (errors, _, Some(structure)) => {
            let errors = errors.err();
            let stub = fallback::connector(&dk, &structure);
            quote!(#item #errors #stub)
        }
        (errors, _, None) => {
            let errors = errors.err();
            quote!(#item #errors)
        }
    }
}
