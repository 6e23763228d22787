//! `#[connector(…)]`.

use proc_macro2::TokenStream;
use quote::ToTokens as _;

use crate::attr::config;
use crate::attr::item;
use crate::attr::name;
use crate::attr::options::{Entry, OptionList};
use crate::ctx::Ctx;
use crate::diag;
use crate::model::connector::Config;
use crate::model::consumer::ConfigValue;
use crate::paths::Runtime;
use crate::symbol::{CONFIG, CONNECTOR, CRATE, MARK_FOR_REMOVAL, NAME};

const CLASS: &str = "connector.class";
const TASKS_MAX: &str = "tasks.max";
const KEY_EXAMPLE: &str = "\"tasks.max\" = 1";

/// The options as written.
#[derive(Debug)]
pub(crate) struct ConnectorOptions {
    pub(crate) dk: Runtime,
    pub(crate) name: Option<syn::LitStr>,
    pub(crate) config: Option<Config>,
    pub(crate) mark_for_removal: bool,
}

/// Reads the options.
pub(crate) fn read(ctx: &Ctx, tokens: TokenStream) -> ConnectorOptions {
    let mut list = OptionList::parse(ctx, &CONNECTOR, tokens);
    let dk = Runtime::new(list.take(CRATE).and_then(|entry| entry.path(ctx, "a path")).as_ref());
    let mark_for_removal = list.take(MARK_FOR_REMOVAL).and_then(|entry| entry.flag(ctx)).unwrap_or(false);
    let config = list.take(CONFIG);
    // What is to be removed needs no configuration any more.
    if config.is_none() && !mark_for_removal && !list.is_faulty() {
        let message = diag::missing(CONNECTOR.title, CONFIG, class_example());
        ctx.error_at(item::attribute_span(), message);
    }
    ConnectorOptions {
        dk,
        name: list.take(NAME).and_then(|entry| entry.string(ctx)).and_then(|literal| name::connector(ctx, literal)),
        config: config.and_then(|entry| configuration(ctx, &entry, mark_for_removal)),
        mark_for_removal,
    }
}

/// `config(…)`, or `config = path` of a function.
fn configuration(ctx: &Ctx, entry: &Entry, mark_for_removal: bool) -> Option<Config> {
    if entry.has_value() {
        return entry.path(ctx, "`config(\"key\" = value, …)` or the path of a function").map(Config::Function);
    }
    let mut pairs = config::read(ctx, entry, KEY_EXAMPLE);
    if let Some(index) = pairs.iter().position(|pair| pair.key.value() == NAME) {
        let message = diag::note(
            "`name` cannot stand in `config(…)`",
            "a connector is called as its struct, behind the setting `connector_name_prefix`",
        );
        let cure = "take it out; for another name write `name = \"…\"` beside `config`";
        ctx.error(&pairs.remove(index).key, diag::help(message, cure));
    }
    for pair in &pairs {
        let key = pair.key.value();
        if key.trim() != key || key.is_empty() {
            let message = if key.trim().is_empty() { "the key is empty" } else { "the key has spaces around it" };
            let cure = if key.trim().is_empty() { KEY_EXAMPLE.to_owned() } else { format!("{:?} = …", key.trim()) };
            ctx.error(&pair.key, diag::help(message, format_args!("write `{cure}`")));
        }
        if key == TASKS_MAX && !is_task_count(&pair.value) {
            let message = format_args!("`{TASKS_MAX}` is a number of at least 1");
            ctx.error(&pair.value_tokens, diag::help(message, format_args!("write `{KEY_EXAMPLE}`")));
        }
    }
    class(ctx, entry, &pairs, mark_for_removal);
    Some(Config::Pairs(pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()))
}

/// `connector.class` has to be there, and to say something.
fn class(ctx: &Ctx, entry: &Entry, pairs: &[config::Pair], may_lack: bool) {
    match pairs.iter().find(|pair| pair.key.value() == CLASS) {
        Some(pair) => match &pair.value {
            ConfigValue::Str(text) if !text.value().trim().is_empty() => {}
            ConfigValue::Env(_) | ConfigValue::Setting(_) => {}
            _ => {
                let found = match &pair.value {
                    ConfigValue::Str(_) => "empty text".to_owned(),
                    _ => diag::describe(&pair.value_tokens),
                };
                let message = format_args!("`{CLASS}` expects the name of a Java class, found {found}");
                ctx.error(&pair.value_tokens, diag::help(message, format_args!("write `{}`", class_pair())));
            }
        },
        None if may_lack => {}
        // It is there, and could not be read, which was reported.
        None if entry.to_token_stream().to_string().contains(&format!("{CLASS:?}")) => {}
        None => {
            let keys: Vec<String> = pairs.iter().map(|pair| pair.key.value()).collect();
            let near = diag::nearest(CLASS, keys.iter().map(String::as_str));
            match pairs.iter().find(|pair| near == Some(pair.key.value().as_str())) {
                Some(pair) => {
                    let message =
                        format_args!("the connector has no `{CLASS}`; was `{}` meant to be it?", pair.key.value());
                    ctx.error(&pair.key, diag::help(message, format_args!("write `{}`", class_pair())));
                }
                None => {
                    let message = format_args!("the connector has no `{CLASS}`");
                    ctx.error(entry, diag::help(message, format_args!("write `{}`", class_example())));
                }
            }
        }
    }
}

fn is_task_count(value: &ConfigValue) -> bool {
    match value {
        ConfigValue::Int(number) => *number >= 1,
        ConfigValue::Str(text) => text.value().parse::<u32>().is_ok_and(|number| number >= 1),
        ConfigValue::Env(_) | ConfigValue::Setting(_) => true,
        ConfigValue::Float(_) | ConfigValue::Bool(_) => false,
    }
}

fn class_example() -> &'static str {
    CONNECTOR.word(CONFIG).map_or("config(…)", |word| word.example)
}

fn class_pair() -> &'static str {
    class_example().trim_start_matches("config(").trim_end_matches(')')
}
