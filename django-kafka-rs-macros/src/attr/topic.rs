//! `#[topic(…)]`.

use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::attr::item;
use crate::attr::name::{self, TopicName};
use crate::attr::options::{Entry, Given, OptionList};
use crate::attr::retry;
use crate::attr::schema;
use crate::ctx::Ctx;
use crate::diag;
use crate::model::retry::Retry;
use crate::model::schema::SchemaFile;
use crate::model::topic::Format;
use crate::paths::Runtime;
use crate::symbol::{
    AVRO, BYTES, CRATE, FORMAT, JSON, KEY, KEY_FORMAT, KEY_SCHEMA, NAME, REGISTER, RETRY, STRING, TOPIC, VALUE,
    VALUE_FORMAT, VALUE_SCHEMA,
};

/// The options as written.
#[derive(Debug)]
pub(crate) struct TopicOptions {
    pub(crate) dk: Runtime,
    pub(crate) name: Option<TopicName>,
    pub(crate) key: Option<syn::Type>,
    pub(crate) value: Option<syn::Type>,
    pub(crate) format: Option<Format>,
    pub(crate) key_format: Option<Format>,
    pub(crate) value_format: Option<Format>,
    pub(crate) key_schema: Option<Given<SchemaFile>>,
    pub(crate) value_schema: Option<Given<SchemaFile>>,
    pub(crate) retry: Option<Retry>,
    pub(crate) register: Option<bool>,
}

/// Reads the options.
pub(crate) fn read(ctx: &Ctx, tokens: TokenStream) -> TopicOptions {
    let mut list = OptionList::parse(ctx, &TOPIC, tokens);
    let dk = Runtime::new(list.take(CRATE).and_then(|entry| entry.path(ctx, "a path")).as_ref());
    let name_entry = list.take(NAME);
    if name_entry.is_none() && !list.is_faulty() {
        let message = diag::missing(TOPIC.title, NAME, "#[topic(name = \"orders\")]");
        ctx.error_at(item::attribute_span(), message);
    }
    TopicOptions {
        dk,
        name: name_entry.and_then(|entry| topic_name(ctx, &entry)),
        key: list.take(KEY).and_then(|entry| entry.ty(ctx)),
        value: list.take(VALUE).and_then(|entry| entry.ty(ctx)),
        format: list.take(FORMAT).and_then(|entry| format(ctx, &entry)),
        key_format: list.take(KEY_FORMAT).and_then(|entry| format(ctx, &entry)),
        value_format: list.take(VALUE_FORMAT).and_then(|entry| format(ctx, &entry)),
        key_schema: list.given(KEY_SCHEMA, schema::read),
        value_schema: list.given(VALUE_SCHEMA, schema::read),
        retry: list.take(RETRY).and_then(|entry| retry::read(ctx, &entry)),
        register: list.take(REGISTER).and_then(|entry| entry.boolean(ctx)),
    }
}

fn topic_name(ctx: &Ctx, entry: &Entry) -> Option<TopicName> {
    let expected = "a string literal or the path of a `const`";
    match entry.parse_value::<syn::Expr>(ctx, expected)? {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(literal), .. }) => name::topic(ctx, literal),
        syn::Expr::Path(path) if path.qself.is_none() => Some(TopicName::Path(path.path)),
        // What a `$name:literal` or `$name:expr` of `macro_rules!` brings.
        syn::Expr::Group(group) => match *group.expr {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(literal), .. }) => name::topic(ctx, literal),
            syn::Expr::Path(path) if path.qself.is_none() => Some(TopicName::Path(path.path)),
            other => refuse(ctx, entry, expected, &other),
        },
        other => refuse(ctx, entry, expected, &other),
    }
}

fn format(ctx: &Ctx, entry: &Entry) -> Option<Format> {
    const WORDS: [&str; 4] = [STRING, BYTES, JSON, AVRO];
    let expected = "`string`, `bytes`, `json`, `avro` or a type that implements `Decode` or `Encode`";
    let ty: syn::Type = entry.parse_value(ctx, expected)?;
    let word = match &ty {
        syn::Type::Path(path) => path.path.get_ident().map(ToString::to_string),
        syn::Type::Group(group) => Some(group.elem.to_token_stream().to_string()),
        _ => return refuse(ctx, entry, expected, &ty),
    };
    match word.as_deref() {
        Some(STRING) => Some(Format::Text),
        Some(BYTES) => Some(Format::Bytes),
        Some(JSON) => Some(Format::Json),
        Some(AVRO) => match schema::missing_feature(&format!("{} = avro", entry.word().name)) {
            None => Some(Format::Avro),
            Some(message) => {
                entry.value_error(ctx, message);
                None
            }
        },
        // Types begin with a capital: a small word is one of ours, misspelt.
        Some(word) if word.starts_with(char::is_lowercase) && !word.contains(':') => {
            let first = match diag::nearest(word, WORDS) {
                Some(near) => format!("unknown format `{word}`; did you mean `{near}`?"),
                None => format!("unknown format `{word}`"),
            };
            entry.value_error(ctx, diag::help(first, format_args!("`{}` takes {expected}", entry.word().name)));
            None
        }
        _ => Some(Format::Custom(Box::new(ty))),
    }
}

fn refuse<T>(ctx: &Ctx, entry: &Entry, expected: &str, found: &impl ToTokens) -> Option<T> {
    let found = diag::describe(&found.to_token_stream());
    entry.value_error(ctx, diag::expected_found(entry.word(), expected, found));
    None
}
