//! Option lists: `name`, `name = value`, `name(arguments…)`, with commas between.
//!
//! Our own reader rather than darling's, because darling's goes through `syn::Meta`: a value must be an expression
//! (`key = Vec<u8>` is none), a keyword cannot be a name (`as = dbz::Date`, `crate = path`), the first token that
//! does not fit ends the list, and a duplicate does not know where the first stands. Here a mistake costs only the
//! option it is in, and the next ones are still read.
//!
//! The reader itself refuses what no option may do: unknown names, duplicates, options that are not built yet. An
//! option that is read into the list and then forgotten by its macro is an error too, never ignored.

use proc_macro2::{Delimiter, Group, Ident, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream, Parser};

use crate::ctx::Ctx;
use crate::diag;
use crate::not_yet;
use crate::symbol::{Vocabulary, Word};

/// The options that were written, each at most once.
#[derive(Debug)]
pub(crate) struct OptionList<'c> {
    ctx: &'c Ctx,
    entries: Vec<Entry>,
    faulty: bool,
}

impl<'c> OptionList<'c> {
    /// Reads one list.
    pub(crate) fn parse(ctx: &'c Ctx, vocabulary: &'static Vocabulary, tokens: TokenStream) -> Self {
        Self::parse_all(ctx, vocabulary, [tokens])
    }

    /// Reads the lists of a repeatable attribute (`#[sync(…)] #[sync(…)]`) as one.
    pub(crate) fn parse_all(
        ctx: &'c Ctx,
        vocabulary: &'static Vocabulary,
        lists: impl IntoIterator<Item = TokenStream>,
    ) -> Self {
        let mut list = Self { ctx, entries: Vec::new(), faulty: false };
        for tokens in lists {
            for part in split_commas(ctx, tokens) {
                if let Some(entry) = Entry::parse(ctx, vocabulary, part) {
                    list.push(vocabulary, entry);
                } else {
                    list.faulty = true;
                }
            }
        }
        list
    }

    /// Takes an option out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.word.name == name)?;
        Some(self.entries.swap_remove(index))
    }

    /// Takes an option out and reads its value; `None` where it is not there or was reported.
    pub(crate) fn given<T>(&mut self, name: &str, read: impl FnOnce(&Ctx, &Entry) -> Option<T>) -> Option<Given<T>> {
        let entry = self.take(name)?;
        match read(self.ctx, &entry) {
            Some(value) => Some(Given { value, entry }),
            None => {
                self.faulty = true;
                None
            }
        }
    }

    /// Whether something in the list could not be read. What seems to be missing may be there, misspelt: one
    /// mistake, one error.
    pub(crate) fn is_faulty(&self) -> bool {
        self.faulty
    }

    fn push(&mut self, vocabulary: &Vocabulary, entry: Entry) {
        let name = entry.word.name;
        if let Some(first) = self.entries.iter().find(|other| other.word.name == name) {
            self.ctx.error(&entry, diag::duplicate(name, first.name.span()));
        } else if let Some(message) = not_yet::option(vocabulary, name) {
            self.faulty = true;
            self.ctx.error(&entry, message);
        } else {
            self.entries.push(entry);
        }
    }
}

impl Drop for OptionList<'_> {
    fn drop(&mut self) {
        for entry in self.entries.drain(..) {
            self.ctx.error(&entry, format_args!("`{}` cannot stand here", entry.word.name));
        }
    }
}

/// An option's value, and the option itself for messages of rules that span several.
#[derive(Debug)]
pub(crate) struct Given<T> {
    pub(crate) value: T,
    pub(crate) entry: Entry,
}

/// One option.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name, for spans.
    pub(crate) name: Ident,
    word: &'static Word,
    form: Form,
}

/// What follows the name.
#[derive(Debug)]
enum Form {
    /// `name`
    Flag,
    /// `name = value`
    Value(TokenStream, TokenTree),
    /// `name(arguments…)`
    Arguments(Group),
}

impl ToTokens for Entry {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.name.to_tokens(tokens);
        match &self.form {
            Form::Flag => {}
            Form::Value(value, equals) => {
                equals.to_tokens(tokens);
                value.to_tokens(tokens);
            }
            Form::Arguments(group) => group.to_tokens(tokens),
        }
    }
}

impl Entry {
    fn parse(ctx: &Ctx, vocabulary: &'static Vocabulary, part: TokenStream) -> Option<Self> {
        let mut trees = part.clone().into_iter();
        let Some(TokenTree::Ident(name)) = trees.next() else {
            let found = diag::describe(&part);
            let message = format!("expected an option of {}, found {found}", vocabulary.title);
            let fix = vocabulary.word(vocabulary.first).map_or("", |word| word.example);
            ctx.error(part, diag::help(message, format_args!("options have names: `{fix}`")));
            return None;
        };
        let text = name.to_string();
        let Some(word) = vocabulary.word(text.strip_prefix("r#").unwrap_or(&text)) else {
            ctx.error(&name, diag::unknown_option(&text, vocabulary));
            return None;
        };
        let second = trees.next();
        let rest: TokenStream = trees.collect();
        let form = match second {
            None => Form::Flag,
            Some(TokenTree::Punct(equals)) if equals.as_char() == '=' && equals.spacing() == Spacing::Alone => {
                Form::Value(rest, TokenTree::Punct(equals))
            }
            Some(TokenTree::Punct(equals)) if equals.as_char() == '=' && !starts_with_operator(&rest) => {
                Form::Value(rest, TokenTree::Punct(equals))
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
                if !rest.is_empty() {
                    ctx.error(rest, format_args!("expected a comma after `{text}(…)`"));
                    return None;
                }
                Form::Arguments(group)
            }
            Some(other) => {
                let message = format!("expected `=`, `(` or a comma after `{text}`");
                ctx.error(other, diag::help(message, format_args!("write `{}`", word.example)));
                return None;
            }
        };
        Some(Self { name, word, form })
    }

    /// The option's name and example.
    pub(crate) fn word(&self) -> &'static Word {
        self.word
    }

    /// `name`, `name = true` or `name = false`.
    pub(crate) fn flag(&self, ctx: &Ctx) -> Option<bool> {
        match &self.form {
            Form::Flag => Some(true),
            _ => self.boolean(ctx),
        }
    }

    /// Whether it is `name` alone.
    pub(crate) fn is_bare(&self) -> bool {
        matches!(self.form, Form::Flag)
    }

    /// Whether it is written `name = …`.
    pub(crate) fn has_value(&self) -> bool {
        matches!(self.form, Form::Value(..))
    }

    /// `name` alone.
    pub(crate) fn bare(&self, ctx: &Ctx) -> Option<()> {
        match &self.form {
            Form::Flag => Some(()),
            Form::Value(..) => self.refuse_form(ctx, "no value", "one"),
            Form::Arguments(_) => self.refuse_form(ctx, "no arguments", "some"),
        }
    }

    /// `name = true` or `name = false`.
    pub(crate) fn boolean(&self, ctx: &Ctx) -> Option<bool> {
        self.parse_value::<syn::LitBool>(ctx, "`true` or `false`").map(|literal| literal.value)
    }

    /// `name = "text"`.
    pub(crate) fn string(&self, ctx: &Ctx) -> Option<syn::LitStr> {
        self.parse_value(ctx, "a string literal")
    }

    /// `name = 5`, of either sign.
    pub(crate) fn integer(&self, ctx: &Ctx) -> Option<i128> {
        self.parse_value::<Integer>(ctx, "an integer").map(|integer| integer.0)
    }

    /// `name = some::path`, for functions and constants.
    pub(crate) fn path(&self, ctx: &Ctx, expected: &str) -> Option<syn::Path> {
        self.parse_value::<ExprPath>(ctx, expected).map(|path| path.0)
    }

    /// `name = Type`.
    pub(crate) fn ty(&self, ctx: &Ctx) -> Option<syn::Type> {
        self.parse_value(ctx, "a type")
    }

    /// The value, parsed as a `T`. `expected` is a noun phrase.
    pub(crate) fn parse_value<T: Parse>(&self, ctx: &Ctx, expected: &str) -> Option<T> {
        let value = self.value(ctx, expected)?;
        // The value alone first: "expected a comma" is a better message than "expected a string literal" for
        // `name = "a" key = String`.
        let result = |input: ParseStream<'_>| {
            let value: T = input.parse()?;
            Ok((value, input.parse::<TokenStream>()?))
        };
        match Parser::parse2(result, value.clone()) {
            Ok((value, rest)) if rest.is_empty() => Some(value),
            Ok((_, rest)) => {
                ctx.error(rest, format_args!("expected a comma after the value of `{}`", self.word.name));
                None
            }
            Err(_) => self.refuse_value(ctx, expected),
        }
    }

    /// The tokens after `=`.
    pub(crate) fn value(&self, ctx: &Ctx, expected: &str) -> Option<&TokenStream> {
        match &self.form {
            Form::Value(value, _) if !value.is_empty() => Some(value),
            Form::Value(..) | Form::Flag => self.refuse_form(ctx, expected, "nothing"),
            Form::Arguments(_) => self.refuse_form(ctx, &format!("`=` and {expected}"), "parentheses"),
        }
    }

    /// The tokens inside `name(…)`; `expected` is a noun phrase for what belongs there.
    pub(crate) fn arguments(&self, ctx: &Ctx, expected: &str) -> Option<TokenStream> {
        match &self.form {
            Form::Arguments(group) => Some(group.stream()),
            Form::Value(..) => self.refuse_form(ctx, &format!("{expected} in parentheses"), "`=`"),
            Form::Flag => self.refuse_form(ctx, &format!("{expected} in parentheses"), "nothing"),
        }
    }

    /// `name(T, …)`: each argument parsed as a `T`, at least one. `one` is a noun phrase, singular.
    pub(crate) fn list_of<T: Parse>(&self, ctx: &Ctx, one: &str) -> Option<Vec<T>> {
        let arguments = self.arguments(ctx, &format!("{one}, or more than one,"))?;
        let parts = split_commas(ctx, arguments);
        if parts.is_empty() {
            let message = format_args!("`{}(…)` is empty: it expects {one}, or more than one", self.word.name);
            ctx.error(self, diag::help(message, format_args!("write `{}`", self.word.example)));
            return None;
        }
        let mut all = Some(Vec::with_capacity(parts.len()));
        for part in parts {
            if let Ok(item) = syn::parse2(part.clone()) {
                if let Some(all) = &mut all {
                    all.push(item);
                }
            } else {
                let found = diag::describe(&part);
                ctx.error(part, diag::expected_found(self.word, one, found));
                all = None;
            }
        }
        all
    }

    /// The value is one of these words, written as a word or as a string.
    pub(crate) fn one_of(&self, ctx: &Ctx, words: &[&'static str]) -> Option<&'static str> {
        let expected = diag::list_or(words);
        let value = self.value(ctx, &expected)?;
        let text = match syn::parse2::<syn::LitStr>(value.clone()) {
            Ok(literal) => literal.value(),
            Err(_) => value.to_string(),
        };
        let known = words.iter().find(|word| **word == text).copied();
        if known.is_none() {
            self.value_error(ctx, diag::expected_found(self.word, expected, format_args!("`{text}`")));
        }
        known
    }

    /// A mistake in the value, underlining the value.
    pub(crate) fn value_error(&self, ctx: &Ctx, message: impl std::fmt::Display) {
        match &self.form {
            Form::Value(value, _) if !value.is_empty() => ctx.error(value, message),
            _ => ctx.error(self, message),
        }
    }

    fn refuse_value<T>(&self, ctx: &Ctx, expected: &str) -> Option<T> {
        let found = match &self.form {
            Form::Value(value, _) => diag::describe(value),
            Form::Flag | Form::Arguments(_) => "nothing".to_owned(),
        };
        self.value_error(ctx, diag::expected_found(self.word, expected, found));
        None
    }

    fn refuse_form<T>(&self, ctx: &Ctx, expected: &str, found: &str) -> Option<T> {
        ctx.error(self, diag::expected_found(self.word, expected, found));
        None
    }
}

/// `==`, `=>` and the like after a name are not `name = value`.
fn starts_with_operator(rest: &TokenStream) -> bool {
    matches!(rest.clone().into_iter().next(), Some(TokenTree::Punct(p)) if matches!(p.as_char(), '=' | '>' | '<' | '&'))
}

/// The parts between commas. Commas inside `<…>` belong to a type. A comma too many is a mistake; one at the end is
/// not.
pub(crate) fn split_commas(ctx: &Ctx, tokens: TokenStream) -> Vec<TokenStream> {
    let mut parts = Vec::new();
    let mut part = TokenStream::new();
    let mut depth = 0_u32;
    let mut arrow = false;
    for tree in tokens {
        if let TokenTree::Punct(punct) = &tree {
            match punct.as_char() {
                '<' => depth += 1,
                '>' if !arrow => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    arrow = false;
                    if part.is_empty() {
                        ctx.error(&tree, diag::help("there is nothing before this comma", "take it out"));
                    } else {
                        parts.push(std::mem::take(&mut part));
                    }
                    continue;
                }
                _ => {}
            }
            // `->` and `=>` close nothing.
            arrow = matches!(punct.as_char(), '-' | '=') && punct.spacing() == Spacing::Joint;
        } else {
            arrow = false;
        }
        part.extend([tree]);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// An integer with its sign.
struct Integer(i128);

impl Parse for Integer {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let negative = input.parse::<Option<syn::Token![-]>>()?.is_some();
        let value: i128 = input.parse::<syn::LitInt>()?.base10_parse()?;
        Ok(Self(if negative { -value } else { value }))
    }
}

/// A path as expressions have it (`a::b::<T>`), whatever delimiters a `macro_rules!` put around it.
struct ExprPath(syn::Path);

impl Parse for ExprPath {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let path: syn::ExprPath = input.parse()?;
        match path.qself {
            None => Ok(Self(path.path)),
            Some(_) => Err(syn::Error::new_spanned(path, "expected a path")),
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;
    use crate::symbol::{self, BACKOFF, DELAY, INCLUDE, KEY, MAX_RETRIES, NAME, TOPIC};

    fn errors(tokens: TokenStream, read: impl FnOnce(&Ctx, &mut OptionList<'_>)) -> Vec<String> {
        let ctx = Ctx::new();
        let mut list = OptionList::parse(&ctx, &TOPIC, tokens);
        read(&ctx, &mut list);
        drop(list);
        messages(ctx)
    }

    fn messages(ctx: Ctx) -> Vec<String> {
        let Err(tokens) = ctx.finish() else { return Vec::new() };
        syn::parse2::<syn::File>(tokens)
            .expect("compile errors are items")
            .items
            .into_iter()
            .map(|item| match item {
                syn::Item::Macro(item) => item.mac.parse_body::<syn::LitStr>().expect("a message").value(),
                _ => unreachable!("only compile errors"),
            })
            .collect()
    }

    #[test]
    fn reads_types_with_commas() {
        let none = errors(quote!(key = HashMap<String, Vec<u8>>, name = "a"), |ctx, list| {
            let ty = list.take(KEY).and_then(|e| e.ty(ctx)).expect("a type");
            assert_eq!(ty.to_token_stream().to_string(), "HashMap < String , Vec < u8 > >");
            assert_eq!(list.take(NAME).and_then(|e| e.string(ctx)).expect("a name").value(), "a");
        });
        assert!(none.is_empty(), "{none:?}");
    }

    #[test]
    fn reports_every_mistake_of_a_list() {
        let all = errors(quote!(nam = "a", key = 5, key = String, "orders",, max_retries = 2), |ctx, list| {
            assert!(list.is_faulty());
            assert!(list.take(KEY).and_then(|e| e.ty(ctx)).is_none());
        });
        let firsts: Vec<_> = all.iter().map(|text| text.lines().next().unwrap_or_default()).collect();
        assert_eq!(
            firsts,
            [
                "there is nothing before this comma",
                "unknown option `nam` of `#[topic(…)]`; did you mean `name`?",
                "`key` is given twice",
                "expected an option of `#[topic(…)]`, found a string literal",
                "`max_retries` is an option of `retry(…)`, not of `#[topic(…)]`",
                "`key` expects a type, found an integer",
            ]
        );
    }

    #[test]
    fn asks_for_a_missing_comma() {
        let all = errors(quote!(name = "a" key = String), |ctx, list| {
            assert!(list.take(NAME).and_then(|e| e.string(ctx)).is_none());
        });
        assert_eq!(all, ["expected a comma after the value of `name`"]);
    }

    #[test]
    fn refuses_an_option_that_the_macro_forgets() {
        assert_eq!(errors(quote!(name = "a"), |_, _| {}), ["`name` cannot stand here"]);
    }

    #[test]
    fn reads_the_forms_of_retry() {
        let ctx = Ctx::new();
        let tokens = quote!(max_retries = -1, backoff, include(std::io::Error, Box<A>), delay(5));
        let mut list = OptionList::parse(&ctx, &symbol::RETRY_OPTIONS, tokens);
        assert_eq!(list.take(MAX_RETRIES).and_then(|e| e.integer(&ctx)), Some(-1));
        assert_eq!(list.take(BACKOFF).and_then(|e| e.flag(&ctx)), Some(true));
        let types = list.take(INCLUDE).and_then(|e| e.list_of::<syn::Type>(&ctx, "an error type"));
        assert_eq!(types.map(|t| t.len()), Some(2));
        assert!(list.take(DELAY).and_then(|e| e.string(&ctx)).is_none());
        drop(list);
        assert_eq!(
            messages(ctx),
            ["`delay` expects `=` and a string literal, found parentheses\n= help: write `delay = \"2s\"`"]
        );
    }
}
