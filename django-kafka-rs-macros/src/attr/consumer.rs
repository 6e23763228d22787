//! `#[consumer(…)]`.

use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::spanned::Spanned;

use crate::attr::config::{self, Pair};
use crate::attr::options::{Entry, OptionList};
use crate::attr::{duration, item, name};
use crate::ctx::Ctx;
use crate::diag;
use crate::model::consumer::{Batch, ConfigValue, Suppress};
use crate::paths::Runtime;
use crate::symbol::{
    BATCH, BATCH_OPTIONS, BYTES, CONFIG, CONSUMER, CRATE, DATABASE, GROUP, KAFKA, LINGER, MAX, OFFSETS, SUPPRESS,
    TOPICS, WORKERS,
};

const GROUP_ID: &str = "group.id";
const PROPERTY_EXAMPLE: &str = "\"auto.offset.reset\" = \"earliest\"";

/// The options as written.
#[derive(Debug)]
pub(crate) struct ConsumerOptions {
    pub(crate) dk: Runtime,
    pub(crate) group: Option<syn::LitStr>,
    pub(crate) topics: Option<Vec<syn::Type>>,
    pub(crate) config: Vec<Pair>,
    pub(crate) batch: Option<Batch>,
    pub(crate) workers: Option<u32>,
    pub(crate) offsets_in_database: bool,
    pub(crate) suppress: Option<Suppress>,
}

/// Reads the options.
pub(crate) fn read(ctx: &Ctx, tokens: TokenStream) -> ConsumerOptions {
    let mut list = OptionList::parse(ctx, &CONSUMER, tokens);
    let dk = Runtime::new(list.take(CRATE).and_then(|entry| entry.path(ctx, "a path")).as_ref());
    let mut config = list.take(CONFIG).map(|entry| config::read(ctx, &entry, PROPERTY_EXAMPLE)).unwrap_or_default();
    let topics = list.take(TOPICS);
    if topics.is_none() && !list.is_faulty() {
        let message = diag::missing(CONSUMER.title, TOPICS, "topics(Customer, Order)");
        ctx.error_at(item::attribute_span(), message);
    }
    ConsumerOptions {
        dk,
        group: group(ctx, &mut list, &mut config),
        topics: topics.and_then(|entry| topic_types(ctx, &entry)),
        config,
        batch: list.take(BATCH).and_then(|entry| batch(ctx, &entry)),
        workers: list.take(WORKERS).and_then(|entry| positive(ctx, &entry)),
        offsets_in_database: list
            .take(OFFSETS)
            .is_some_and(|entry| entry.one_of(ctx, &[KAFKA, DATABASE]) == Some(DATABASE)),
        suppress: list.take(SUPPRESS).and_then(|entry| suppress(ctx, &entry)),
    }
}

/// The group: `group = "…"`, or the property `group.id`, which is taken out of the others.
fn group(ctx: &Ctx, list: &mut OptionList<'_>, config: &mut Vec<Pair>) -> Option<syn::LitStr> {
    let property = config.iter().position(|pair| pair.key.value() == GROUP_ID).map(|index| config.remove(index));
    match (list.take(GROUP), property) {
        (Some(option), None) => option.string(ctx).and_then(|literal| name::group(ctx, literal)),
        (None, Some(Pair { value: ConfigValue::Str(literal), .. })) => name::group(ctx, literal),
        (None, Some(pair)) => {
            let found = diag::describe(&pair.value_tokens);
            ctx.error(
                pair.value_tokens,
                diag::help(
                    diag::note(
                        format_args!("`{GROUP_ID}` expects a string literal, found {found}"),
                        "retry and dead letter topics are named after the group",
                    ),
                    "for a group that is known only at start write `group = \"${group}\"` and set the variable \
                     `group` in `[topic_variables]`",
                ),
            );
            None
        }
        (Some(option), Some(pair)) => {
            let message =
                format_args!("`{GROUP_ID}` is what `group` says already, on line {}", line(option.name.span()));
            ctx.error(pair.key, diag::help(message, "keep `group`"));
            None
        }
        (None, None) if list.is_faulty() => None,
        (None, None) => {
            ctx.error_at(item::attribute_span(), diag::missing(CONSUMER.title, GROUP, "group = \"crm\""));
            None
        }
    }
}

/// The topics, each once.
fn topic_types(ctx: &Ctx, entry: &Entry) -> Option<Vec<syn::Type>> {
    let types: Vec<syn::Type> = entry.list_of(ctx, "a topic's type")?;
    let mut seen: HashMap<String, Span> = HashMap::new();
    for ty in &types {
        let text = ty.to_token_stream().to_string().replace(' ', "");
        if let Some(first) = seen.get(&text) {
            ctx.error(ty, diag::duplicate(&text, *first));
        } else {
            seen.insert(text, ty.span());
        }
    }
    Some(types)
}

/// `suppress` alone, or with the names of topics, each once.
fn suppress(ctx: &Ctx, entry: &Entry) -> Option<Suppress> {
    if entry.is_bare() {
        return Some(Suppress::All);
    }
    let mut names: Vec<syn::LitStr> = Vec::new();
    for literal in entry.list_of::<syn::LitStr>(ctx, "the name of a topic in quotes")? {
        let why = "messages are produced to topics with a name of their own, and by this name";
        let Some(name) = name::one_topic(ctx, literal, why) else { continue };
        match names.iter().find(|first| first.value() == name.value()) {
            Some(first) => ctx.error(&name, diag::duplicate(name.value(), first.span())),
            None => names.push(name),
        }
    }
    Some(Suppress::Named(names))
}

fn batch(ctx: &Ctx, entry: &Entry) -> Option<Batch> {
    let arguments = entry.arguments(ctx, "its options")?;
    let empty = arguments.is_empty();
    let mut list = OptionList::parse(ctx, &BATCH_OPTIONS, arguments);
    if empty {
        let message = "`batch(…)` says nothing";
        ctx.error(entry, diag::help(message, format_args!("write `{}`, or leave it out", entry.word().example)));
    }
    Some(Batch {
        max: list.take(MAX).and_then(|entry| positive(ctx, &entry)),
        bytes_max: list.take(BYTES).and_then(|entry| positive(ctx, &entry)),
        linger_ms: list.take(LINGER).and_then(|entry| duration::text(ctx, &entry)),
    })
}

/// An integer of at least 1.
fn positive<T: TryFrom<i128>>(ctx: &Ctx, entry: &Entry) -> Option<T> {
    let number = entry.integer(ctx)?;
    let name = entry.word().name;
    if number < 1 {
        let message = format_args!("`{name}` is {number}, and has to be at least 1");
        entry.value_error(ctx, diag::help(message, format_args!("write `{}`", entry.word().example)));
        return None;
    }
    let small = T::try_from(number).ok();
    if small.is_none() {
        let message = format_args!("`{name}` is {number}, which is too large");
        entry.value_error(ctx, diag::help(message, format_args!("write `{}`", entry.word().example)));
    }
    small
}

/// 0 outside a compiler.
fn line(span: Span) -> usize {
    if proc_macro::is_available() { span.unwrap().line() } else { 0 }
}
