//! `config("key" = value, …)`: librdkafka's properties, or a connector's. What the keys mean is checked elsewhere.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};

use crate::attr::options::{Entry, split_commas};
use crate::ctx::Ctx;
use crate::diag;
use crate::model::consumer::ConfigValue;
use crate::symbol::{ENV, SETTING};

/// One entry as written.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) key: syn::LitStr,
    pub(crate) value: ConfigValue,
    /// The value's tokens, for spans.
    pub(crate) value_tokens: TokenStream,
}

/// Reads `config(…)`; `example` is an entry as users write one. Entries that cannot be read, and keys given twice, are
/// reported and left out.
pub(crate) fn read(ctx: &Ctx, entry: &Entry, example: &str) -> Vec<Pair> {
    let Some(arguments) = entry.arguments(ctx, &format!("properties such as `{example}`")) else {
        return Vec::new();
    };
    let mut pairs: Vec<Pair> = Vec::new();
    for part in split_commas(ctx, arguments) {
        let Some(pair) = pair(ctx, part, example) else { continue };
        if let Some(first) = pairs.iter().find(|other| other.key.value() == pair.key.value()) {
            ctx.error(&pair.key, diag::duplicate(pair.key.value(), first.key.span()));
        } else {
            pairs.push(pair);
        }
    }
    pairs
}

fn pair(ctx: &Ctx, part: TokenStream, example: &str) -> Option<Pair> {
    let mut trees = part.clone().into_iter().peekable();
    let mut key = TokenStream::new();
    while let Some(tree) = trees.next_if(|tree| !matches!(tree, TokenTree::Punct(p) if p.as_char() == '=')) {
        key.extend([tree]);
    }
    if trees.next().is_none() {
        let message = format_args!("expected `\"key\" = value`, found {}", diag::describe(&part));
        ctx.error(part, diag::help(message, format_args!("write for example `{example}`")));
        return None;
    }
    let Ok(literal) = syn::parse2::<syn::LitStr>(key.clone()) else {
        let text = key.to_string().replace(' ', "");
        let message = format_args!("a property's name stands in quotes, found {}", diag::describe(&key));
        // `= 5` without a key has only the equals sign to underline.
        let place = if key.is_empty() { part } else { key };
        ctx.error(place, diag::help(message, format_args!("write `\"{}\" = …`", text.trim_matches('"'))));
        return None;
    };
    let value: TokenStream = trees.collect();
    if value.is_empty() {
        let (name, cure) = (literal.value(), "write a literal, `env(\"VARIABLE\")` or `setting(\"key\")` behind `=`");
        ctx.error(part, diag::help(format_args!("`{name}` has no value"), cure));
        return None;
    }
    let Ok(parsed) = syn::parse2::<Value>(value.clone()) else {
        let message = format_args!(
            "`{}` expects a literal, `env(\"VARIABLE\")` or `setting(\"key\")`, found {}",
            literal.value(),
            diag::describe(&value)
        );
        let cure = "what is known only at start comes from the environment, `env(\"VARIABLE\")`, or from the settings \
                    file, `setting(\"key\")`";
        ctx.error(value, diag::help(message, cure));
        return None;
    };
    let parsed = parsed.check(ctx, &value)?;
    Some(Pair { key: literal, value: parsed, value_tokens: value })
}

/// A value as written.
enum Value {
    Literal(bool, syn::Lit),
    Call(syn::Ident, syn::LitStr),
}

impl Parse for Value {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(syn::Ident) {
            let name = input.parse()?;
            let content;
            syn::parenthesized!(content in input);
            let argument = content.parse()?;
            if !content.is_empty() {
                return Err(content.error("expected one argument"));
            }
            return Ok(Self::Call(name, argument));
        }
        let negative = input.parse::<Option<syn::Token![-]>>()?.is_some();
        Ok(Self::Literal(negative, input.parse()?))
    }
}

impl Value {
    fn check(self, ctx: &Ctx, tokens: &TokenStream) -> Option<ConfigValue> {
        match self {
            Self::Literal(negative, literal) => literal_value(ctx, negative, &literal, tokens),
            Self::Call(name, argument) => {
                if argument.value().trim().is_empty() {
                    let example = if name == SETTING { "setting(\"key\")" } else { "env(\"VARIABLE\")" };
                    let message = format_args!("`{name}(…)` names nothing");
                    ctx.error(&argument, diag::help(message, format_args!("write `{example}`")));
                    return None;
                }
                match name.to_string().as_str() {
                    ENV => Some(ConfigValue::Env(argument)),
                    SETTING => Some(ConfigValue::Setting(argument)),
                    other => {
                        let first = match diag::nearest(other, [ENV, SETTING]) {
                            Some(near) => format!("unknown source `{other}`; did you mean `{near}`?"),
                            None => format!("unknown source `{other}`"),
                        };
                        ctx.error(
                            name,
                            diag::help(first, "values come from `env(\"VARIABLE\")` or `setting(\"key\")`"),
                        );
                        None
                    }
                }
            }
        }
    }
}

fn literal_value(ctx: &Ctx, negative: bool, literal: &syn::Lit, tokens: &TokenStream) -> Option<ConfigValue> {
    let too_large = || {
        ctx.error(tokens, "the number is too large");
        None
    };
    match literal {
        syn::Lit::Str(text) if !negative => Some(ConfigValue::Str(text.clone())),
        syn::Lit::Bool(flag) if !negative => Some(ConfigValue::Bool(flag.value)),
        syn::Lit::Int(number) => match number.base10_parse::<i64>() {
            Ok(number) => Some(ConfigValue::Int(if negative { -number } else { number })),
            Err(_) => too_large(),
        },
        syn::Lit::Float(number) => match number.base10_parse::<f64>() {
            Ok(number) => Some(ConfigValue::Float(if negative { -number } else { number })),
            Err(_) => too_large(),
        },
        other => {
            let found = diag::describe(&other.to_token_stream());
            ctx.error(tokens, format_args!("expected a string, a number or a boolean, found {found}"));
            None
        }
    }
}
