//! `#[derive(TopicReproducer)]` from end to end.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput, LitStr, Path};

use crate::attr::name;
use crate::attr::options::{Entry, OptionList};
use crate::ctx::Ctx;
use crate::model::reproducer::Reproducer;
use crate::paths::Runtime;
use crate::symbol::{CRATE, MODEL, NAME, NAMESPACE, REPRODUCE, REPRODUCE_ATTRIBUTE, TOPIC_REPRODUCER};
use crate::{diag, expand, fallback};

const EXAMPLE: &str = "#[reproduce(model = Order)]";
const ONE_TOPIC: &str = "the events of one table come in one topic";

/// The item's impls, or what is wrong with it.
pub(crate) fn topic_reproducer(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let ctx = Ctx::new();
    let (runtime, reproducer) = read(&ctx, &input);
    let dk = Runtime::new(runtime.as_ref());
    match (ctx.finish(), reproducer) {
        (Ok(()), Some(reproducer)) => expand::reproducer::expand(&dk, &reproducer),
        (errors, reproducer) => {
            let errors = errors.err();
            let stub = reproducer.map(|_| fallback::reproducer(&dk, &input));
            quote!(#errors #stub)
        }
    }
}

/// `crate = path`, and the rest; `None` for what is no topic.
fn read(ctx: &Ctx, input: &DeriveInput) -> (Option<Path>, Option<Reproducer>) {
    let ident = &input.ident;
    let is_unit = match &input.data {
        Data::Struct(data) => data.fields.is_empty() && input.generics.params.is_empty(),
        Data::Enum(_) | Data::Union(_) => false,
    };
    if !is_unit {
        let message = format!("`{TOPIC_REPRODUCER}` is derived on a topic: a struct without fields and parameters");
        let note = "it tells the events of a model on; the model is named, `#[reproduce(model = …)]`";
        ctx.error(
            ident,
            diag::help(diag::note(message, note), "declare the public topic: `#[topic(name = \"…\")] struct …;`"),
        );
    }
    let mut lists = Vec::new();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident(REPRODUCE_ATTRIBUTE)) {
        match attribute.meta.require_list() {
            Ok(list) if !list.tokens.is_empty() => lists.push(list.tokens.clone()),
            _ => {
                let message = format!("{} says nothing", REPRODUCE.title);
                ctx.error(attribute, diag::help(message, format_args!("write `{EXAMPLE}`")));
            }
        }
    }
    let mut list = OptionList::parse_all(ctx, &REPRODUCE, lists);
    let runtime = list.take(CRATE).and_then(|entry| entry.path(ctx, "the path of this crate"));
    let model = list.take(MODEL);
    let source_name = list.take(NAME);
    let nothing_said = model.is_none() && source_name.is_none();
    if nothing_said && !list.is_faulty() && !ctx.has_errors() {
        let message =
            format!("`{ident}` does not say which events it tells on: {} needs `{MODEL}` or `{NAME}`", REPRODUCE.title);
        let help = format!(
            "write `{EXAMPLE}` for the events of a model's table, or `#[reproduce(name = \"raw.orders\")]` and implement `reproduce`"
        );
        ctx.error_at(Span::call_site(), diag::help(message, help));
    }
    let reproducer = Reproducer {
        ident: ident.clone(),
        model: model.and_then(|entry| entry.path(ctx, "the path of a model")),
        namespace: list.take(NAMESPACE).and_then(|entry| namespace(ctx, &entry)),
        name: source_name
            .and_then(|entry| entry.string(ctx))
            .and_then(|literal| name::one_topic(ctx, literal, ONE_TOPIC)),
    };
    (runtime, is_unit.then_some(reproducer))
}

/// What stands before a dot and a name.
fn namespace(ctx: &Ctx, entry: &Entry) -> Option<LitStr> {
    let literal = entry.string(ctx)?;
    let text = literal.value();
    if text.ends_with('.') {
        let message =
            format!("the namespace `{text}` ends with a dot, and a dot follows it in the topic's name anyway");
        entry.value_error(
            ctx,
            diag::help(message, format_args!("write `{NAMESPACE} = \"{}\"`", text.trim_end_matches('.'))),
        );
        return None;
    }
    name::one_topic(ctx, literal, ONE_TOPIC)
}
