//! `#[sync(…)]` on a struct and on a field: the words and their forms. What they mean together is in
//! `sync_derive::check`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, LitInt, LitStr, Path, Token};

use crate::attr::options::OptionList;
use crate::ctx::Ctx;
use crate::diag;
use crate::model::field::Encoding;
use crate::model::sync_options::{Envelope, LookupField, MessageField, Relations, SyncOptions};
use crate::symbol::{
    self, AFTER, AS, COMPUTE, CRATE, DEFAULT, DELETED_FIELD, ENVELOPE, EXCLUDE, FROM, GUARD, IS_DELETION, KEY, LOOKUP,
    LOOKUP_WITH, MODEL, REDUCE, RELATION, RELATIONS, RELATIONS_WITH, SKIP, SYNC_ATTRIBUTE, Vocabulary, WITH,
};

const FUNCTION: &str = "the path of a function";

/// Reads `#[sync(…)]` of a struct.
pub(crate) fn container(ctx: &Ctx, attributes: &[Attribute]) -> SyncOptions {
    let mut list = OptionList::parse_all(ctx, &symbol::SYNC, lists(ctx, &symbol::SYNC, attributes));
    SyncOptions {
        exclude: list
            .take(EXCLUDE)
            .and_then(|e| e.list_of::<MessageFieldArgument>(ctx, "a field of the message"))
            .map(|fields| fields.into_iter().map(|field| field.0).collect())
            .unwrap_or_default(),
        lookup: list
            .take(LOOKUP)
            .and_then(|e| e.list_of::<LookupArgument>(ctx, "a field of the model, or `field = key`"))
            .map(|fields| fields.into_iter().map(|field| field.0).collect()),
        lookup_with: list.take(LOOKUP_WITH).and_then(|e| e.path(ctx, FUNCTION)),
        is_deletion: list.take(IS_DELETION).and_then(|e| e.path(ctx, FUNCTION)),
        deleted_field: list.take(DELETED_FIELD).and_then(|e| e.string(ctx)).and_then(|name| filled(ctx, name)),
        envelope: list.take(ENVELOPE).and_then(|e| match e.one_of(ctx, &["auto", "flat", "full"])? {
            "auto" => Some((Envelope::Auto, e.name)),
            "flat" => Some((Envelope::Flat, e.name)),
            _ => Some((Envelope::Full, e.name)),
        }),
        guard_off: list.take(GUARD).and_then(|e| e.list_of::<Off>(ctx, "`off`")).is_some(),
        reduce_off: list.take(REDUCE).and_then(|e| e.list_of::<Off>(ctx, "`off`")).is_some(),
        relations: relations(ctx, &mut list),
        after: list.take(AFTER).and_then(|e| e.path(ctx, FUNCTION)),
        model: list.take(MODEL).and_then(|e| e.path(ctx, "the path of a model")),
        runtime: list.take(CRATE).and_then(|e| e.path(ctx, "the path of this crate")),
    }
}

/// `#[sync(…)]` on a field, as written. Each option with its name for spans.
#[derive(Debug, Default)]
pub(crate) struct FieldOptions {
    /// `from = "message_field"`.
    pub(crate) from: Option<LitStr>,
    /// `with = path`.
    pub(crate) with: Option<(Ident, Path)>,
    /// `compute = path`.
    pub(crate) compute: Option<(Ident, Path)>,
    /// `skip`.
    pub(crate) skip: Option<Ident>,
    /// `as = dbz::X`.
    pub(crate) encoding: Option<(Ident, Encoding)>,
    /// `default`.
    pub(crate) default: Option<Ident>,
    /// `relation(Model, field = …)`.
    pub(crate) relation: Option<(Ident, RelationArguments)>,
    /// Something could not be read: what seems to be missing may be there.
    pub(crate) faulty: bool,
}

impl FieldOptions {
    pub(crate) fn read(ctx: &Ctx, attributes: &[Attribute]) -> Self {
        let mut list = OptionList::parse_all(ctx, &symbol::SYNC_FIELD, lists(ctx, &symbol::SYNC_FIELD, attributes));
        let mut function = |word| {
            let entry = list.take(word)?;
            entry.path(ctx, FUNCTION).map(|path| (entry.name, path))
        };
        let (with, compute) = (function(WITH), function(COMPUTE));
        let mut flag = |word| {
            let entry = list.take(word)?;
            entry.bare(ctx).map(|()| entry.name)
        };
        let (skip, default) = (flag(SKIP), flag(DEFAULT));
        let mut faulty = list.is_faulty();
        let encoding = list.take(AS).and_then(|entry| {
            let read = entry.parse_value::<EncodingArgument>(ctx, "an encoding");
            faulty |= read.is_none();
            let EncodingArgument { encoding, mistake } = read?;
            if let Some(mistake) = mistake {
                entry.value_error(ctx, diag::help(mistake, "write `as = dbz::Decimal(2)` for a `numeric(12, 2)`"));
            }
            Some((entry.name, encoding))
        });
        let from = list.take(FROM).and_then(|e| e.string(ctx)).and_then(|name| filled(ctx, name));
        let relation = list.take(RELATION).and_then(|entry| {
            let arguments = entry.arguments(ctx, "a model")?;
            match syn::parse2(arguments.clone()) {
                Ok(read) => Some((entry.name, read)),
                Err(_) => {
                    let found = diag::describe(&arguments);
                    ctx.error(&arguments, diag::expected_found(entry.word(), RELATION_FORM, found));
                    None
                }
            }
        });
        Self { from, with, compute, skip, encoding, default, relation, faulty }
    }
}

const RELATION_FORM: &str = "a model, or a model and `field = …`";

/// `Customer` or `Customer, field = uuid`.
#[derive(Debug)]
pub(crate) struct RelationArguments {
    /// The parent's model.
    pub(crate) model: Path,
    /// Its field; `None`: its primary key.
    pub(crate) field: Option<Ident>,
}

impl Parse for RelationArguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let model = input.parse()?;
        let mut field = None;
        if input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let word = Ident::parse_any(input)?;
            if word != "field" {
                return Err(syn::Error::new_spanned(word, "expected `field`"));
            }
            input.parse::<Token![=]>()?;
            field = Some(Ident::parse_any(input)?);
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(Self { model, field })
    }
}

/// `relations(auto)` and `relations_with = path`.
fn relations(ctx: &Ctx, list: &mut OptionList<'_>) -> Relations {
    let auto = list.take(RELATIONS).and_then(|e| e.list_of::<Auto>(ctx, "`auto`").map(|_| e.name));
    let with = list.take(RELATIONS_WITH).and_then(|e| e.path(ctx, FUNCTION).map(|path| (e.name, path)));
    Relations { auto, with }
}

/// The contents of all `#[sync(…)]`.
fn lists(ctx: &Ctx, vocabulary: &Vocabulary, attributes: &[Attribute]) -> Vec<TokenStream> {
    let mut lists = Vec::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident(SYNC_ATTRIBUTE)) {
        match attribute.meta.require_list() {
            Ok(list) => lists.push(list.tokens.clone()),
            Err(_) => {
                let example = vocabulary.word(vocabulary.first).map_or("", |word| word.example);
                let message = format!("{} has its options in parentheses", vocabulary.title);
                ctx.error(attribute, diag::help(message, format_args!("write `#[sync({example})]`")));
            }
        }
    }
    lists
}

fn filled(ctx: &Ctx, name: LitStr) -> Option<LitStr> {
    if name.value().is_empty() {
        ctx.error(
            name,
            diag::help("the name of the message's field is empty", "leave it out for the field's own name"),
        );
        return None;
    }
    Some(name)
}

/// `off`.
struct Off;

impl Parse for Off {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let word: Ident = input.parse()?;
        if word == "off" { Ok(Self) } else { Err(syn::Error::new_spanned(word, "expected `off`")) }
    }
}

/// `auto`.
struct Auto;

impl Parse for Auto {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let word: Ident = input.parse()?;
        if word == "auto" { Ok(Self) } else { Err(syn::Error::new_spanned(word, "expected `auto`")) }
    }
}

/// A message's field: a word, or a string for names that are none.
struct MessageFieldArgument(MessageField);

impl Parse for MessageFieldArgument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            let name: LitStr = input.parse()?;
            return Ok(Self(MessageField { name: name.value(), span: name.span() }));
        }
        let name = Ident::parse_any(input)?;
        Ok(Self(MessageField { name: name.unraw().to_string(), span: name.span() }))
    }
}

/// `field` or `field = key`.
struct LookupArgument(LookupField);

impl Parse for LookupArgument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let field = Ident::parse_any(input)?;
        let whole_key = input.parse::<Option<Token![=]>>()?.is_some();
        if whole_key {
            let key: Ident = input.parse()?;
            if key != KEY {
                return Err(syn::Error::new_spanned(key, "expected `key`"));
            }
        }
        Ok(Self(LookupField { field, whole_key }))
    }
}

/// `dbz::Date`, `dbz::Decimal(2)`, `dbz::Decimal<2>`.
struct EncodingArgument {
    encoding: Encoding,
    /// What is wrong with the scale.
    mistake: Option<&'static str>,
}

impl Parse for EncodingArgument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let path = Path::parse_mod_style(input)?;
        if input.peek(syn::token::Paren) {
            let content;
            syn::parenthesized!(content in input);
            let scale: TokenStream = content.parse()?;
            let mistake = syn::parse2::<Scale>(scale.clone()).err().map(|_| "the scale of a decimal is one integer");
            return Ok(Self { encoding: Encoding { path: quote!(#path::<{ #scale }>) }, mistake });
        }
        if input.peek(Token![<]) || input.peek(Token![::]) {
            let arguments: syn::AngleBracketedGenericArguments = input.parse()?;
            return Ok(Self { encoding: Encoding { path: quote!(#path #arguments) }, mistake: None });
        }
        let is_decimal = path.segments.last().is_some_and(|segment| segment.ident == "Decimal");
        let mistake = is_decimal.then_some("`dbz::Decimal` needs the column's scale");
        Ok(Self { encoding: Encoding { path: path.into_token_stream() }, mistake })
    }
}

/// An integer with its sign.
struct Scale;

impl Parse for Scale {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.parse::<Option<Token![-]>>()?;
        input.parse::<LitInt>()?.base10_parse::<i32>().map(|_| Self)
    }
}
