//! `#[diesel(…)]`, as far as a sync has to know it: which table, which columns, which fields are no plain columns.
//!
//! The attribute is Diesel's, and Diesel's own derives report what is wrong in it. Words that we do not know may be a
//! newer Diesel's and are passed over, unless they look like a misspelt word that we read: on a model without one of
//! Diesel's derives nobody else would say so.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{Attribute, Ident, LitStr, Path, Token, Type};

use crate::attr::options::split_commas;
use crate::ctx::Ctx;
use crate::diag;
use crate::symbol::DIESEL_ATTRIBUTE;

const TABLE_NAME: &str = "table_name";
const PRIMARY_KEY: &str = "primary_key";
const BELONGS_TO: &str = "belongs_to";
const COLUMN_NAME: &str = "column_name";
const SERIALIZE_AS: &str = "serialize_as";
const EMBED: &str = "embed";
const SKIP_INSERTION: &str = "skip_insertion";
const SKIP_UPDATE: &str = "skip_update";
const SELECT_EXPRESSION: &str = "select_expression";

/// `#[diesel(…)]` on a struct.
#[derive(Debug, Default)]
pub(crate) struct DieselStruct {
    /// `table_name = path`.
    pub(crate) table: Option<Path>,
    /// `primary_key(column, …)`.
    pub(crate) primary_key: Option<Vec<Ident>>,
    /// `belongs_to(…)`, in their order.
    pub(crate) belongs_to: Vec<BelongsTo>,
}

/// `belongs_to(Parent)` or `belongs_to(Parent, foreign_key = column)`.
#[derive(Debug)]
pub(crate) struct BelongsTo {
    /// The parent's model.
    pub(crate) parent: Path,
    /// The column that refers to it.
    pub(crate) column: Ident,
}

/// `#[diesel(…)]` on a field.
#[derive(Debug, Default)]
pub(crate) struct DieselField {
    /// `column_name = ident`.
    pub(crate) column: Option<Ident>,
    /// `serialize_as = Type`: what the field is converted into before it is written.
    pub(crate) serialize_as: Option<Type>,
    /// `embed`.
    pub(crate) embed: Option<Ident>,
    /// `select_expression = …`.
    pub(crate) select_expression: Option<Ident>,
    /// `skip_insertion` or `skip_update`.
    pub(crate) skips_writes: Option<Ident>,
    /// `skip_insertion`.
    pub(crate) skips_insertion: bool,
    /// `skip_update`.
    pub(crate) skips_update: bool,
}

impl DieselStruct {
    pub(crate) fn read(ctx: &Ctx, attributes: &[Attribute]) -> Self {
        let mut read = Self::default();
        for entry in entries(ctx, attributes) {
            match entry.word.to_string().as_str() {
                TABLE_NAME => match (entry.value::<Path>(), &read.table) {
                    (Ok(_), Some(_)) => ctx.error(
                        &entry.word,
                        diag::note("this model has two tables", "a message writes one row of one table"),
                    ),
                    (Ok(path), None) => read.table = Some(path),
                    (Err(()), _) => malformed(ctx, &entry, "table_name = customers"),
                },
                PRIMARY_KEY => match entry.list() {
                    Some(columns) => read.primary_key = Some(columns),
                    None => malformed(ctx, &entry, "primary_key(id)"),
                },
                BELONGS_TO => match entry.belongs_to() {
                    Some(relation) => read.belongs_to.push(relation),
                    None => malformed(ctx, &entry, "belongs_to(Customer, foreign_key = customer_id)"),
                },
                word => misspelt(ctx, &entry, word, &[TABLE_NAME, PRIMARY_KEY, BELONGS_TO]),
            }
        }
        read
    }
}

impl DieselField {
    pub(crate) fn read(ctx: &Ctx, attributes: &[Attribute]) -> Self {
        let mut read = Self::default();
        for entry in entries(ctx, attributes) {
            match entry.word.to_string().as_str() {
                COLUMN_NAME => match entry.ident() {
                    Some(column) => read.column = Some(column),
                    None => malformed(ctx, &entry, "column_name = first_name"),
                },
                SERIALIZE_AS => match entry.value::<Type>() {
                    Ok(ty) => read.serialize_as = Some(ty),
                    Err(()) => malformed(ctx, &entry, "serialize_as = Lowercase"),
                },
                EMBED => read.embed = Some(entry.word.clone()),
                SELECT_EXPRESSION => read.select_expression = Some(entry.word.clone()),
                word @ (SKIP_INSERTION | SKIP_UPDATE) => {
                    read.skips_insertion |= word == SKIP_INSERTION;
                    read.skips_update |= word == SKIP_UPDATE;
                    read.skips_writes = Some(entry.word.clone());
                }
                word => misspelt(ctx, &entry, word, &[COLUMN_NAME, SERIALIZE_AS, EMBED, SKIP_INSERTION, SKIP_UPDATE]),
            }
        }
        read
    }
}

fn malformed(ctx: &Ctx, entry: &Entry, example: &str) {
    let message = format!("`{}` is not in the form that Diesel reads", entry.word);
    ctx.error(entry, diag::help(message, format_args!("write `#[diesel({example})]`")));
}

fn misspelt(ctx: &Ctx, entry: &Entry, word: &str, ours: &[&str]) {
    // Diesel's other words that are near one of ours.
    const OTHERS: &[&str] = &["embed", "sql_type", "deserialize_as", "select_expression_type"];
    if OTHERS.contains(&word) || ours.contains(&word) {
        return;
    }
    if let Some(near) = diag::nearest(word, ours.iter().copied()) {
        ctx.error(&entry.word, format_args!("`{word}` is not an option of `#[diesel(…)]`; did you mean `{near}`?"));
    }
}

/// `word`, `word = tokens` or `word(tokens)`.
struct Entry {
    word: Ident,
    rest: TokenStream,
}

impl Entry {
    /// What stands behind `=`, or behind `= "…"`, the older form.
    fn value<T: syn::parse::Parse>(&self) -> Result<T, ()> {
        let tokens = self.assigned().ok_or(())?;
        if let Ok(text) = syn::parse2::<LitStr>(tokens.clone()) {
            return text.parse().map_err(drop);
        }
        syn::parse2(tokens).map_err(drop)
    }

    fn ident(&self) -> Option<Ident> {
        let tokens = self.assigned()?;
        if let Ok(text) = syn::parse2::<LitStr>(tokens.clone()) {
            return text.parse_with(Ident::parse_any).ok().map(raw_if_keyword);
        }
        syn::parse::Parser::parse2(Ident::parse_any, tokens).ok().map(raw_if_keyword)
    }

    fn list(&self) -> Option<Vec<Ident>> {
        let mut rest = self.rest.clone().into_iter();
        let (Some(TokenTree::Group(group)), None) = (rest.next(), rest.next()) else { return None };
        if group.delimiter() != Delimiter::Parenthesis {
            return None;
        }
        let parser = Punctuated::<Ident, Token![,]>::parse_terminated_with;
        let idents = syn::parse::Parser::parse2(
            |input: syn::parse::ParseStream<'_>| parser(input, Ident::parse_any),
            group.stream(),
        );
        idents.ok().map(|idents| idents.into_iter().map(raw_if_keyword).collect())
    }

    /// The parent's generics are Diesel's: `belongs_to(Parent<'_>)`.
    fn belongs_to(&self) -> Option<BelongsTo> {
        let mut rest = self.rest.clone().into_iter();
        let (Some(TokenTree::Group(group)), None) = (rest.next(), rest.next()) else { return None };
        let read = |input: syn::parse::ParseStream<'_>| {
            let parent: Path = input.parse()?;
            let mut column = None;
            while input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
                let word = Ident::parse_any(input)?;
                input.parse::<Token![=]>()?;
                let value = raw_if_keyword(Ident::parse_any(input)?);
                if word == "foreign_key" {
                    column = Some(value);
                }
            }
            Ok((parent, column))
        };
        let (parent, column) = syn::parse::Parser::parse2(read, group.stream()).ok()?;
        let column = match column {
            Some(column) => column,
            None => {
                let name = &parent.segments.last()?.ident;
                Ident::new(&format!("{}_id", snake_case(name)), name.span())
            }
        };
        Some(BelongsTo { parent, column })
    }

    fn assigned(&self) -> Option<TokenStream> {
        let mut rest = self.rest.clone().into_iter();
        matches!(rest.next(), Some(TokenTree::Punct(p)) if p.as_char() == '=').then(|| rest.collect())
    }
}

impl ToTokens for Entry {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.word.to_tokens(tokens);
        self.rest.to_tokens(tokens);
    }
}

/// A column called `type` is `r#type` in `table!`.
fn raw_if_keyword(ident: Ident) -> Ident {
    let text = ident.to_string();
    match syn::parse_str::<Ident>(&text) {
        Ok(_) => ident,
        Err(_) => Ident::new_raw(&text, ident.span()),
    }
}

/// The entries of all `#[diesel(…)]`; what does not begin with a word is nothing of ours.
fn entries(ctx: &Ctx, attributes: &[Attribute]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident(DIESEL_ATTRIBUTE)) {
        let Some(list) = ctx.ok(attribute.meta.require_list()) else { continue };
        for part in split_commas(ctx, list.tokens.clone()) {
            let mut tokens = part.into_iter();
            if let Some(TokenTree::Ident(word)) = tokens.next() {
                entries.push(Entry { word, rest: tokens.collect() });
            }
        }
    }
    entries
}

/// The table that Diesel takes where `table_name` is not said: the struct's name in snake case, and an `s`.
pub(crate) fn default_table(name: &Ident) -> Path {
    Ident::new(&format!("{}s", snake_case(name)), name.span()).into()
}

/// A type's name as Diesel turns it into one of the database's.
fn snake_case(name: &Ident) -> String {
    let mut snake = String::new();
    for (i, character) in name.unraw().to_string().chars().enumerate() {
        if character.is_uppercase() && i > 0 {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn read(attribute: &Attribute) -> (DieselStruct, Option<String>) {
        let ctx = Ctx::new();
        let read = DieselStruct::read(&ctx, std::slice::from_ref(attribute));
        (read, ctx.finish().err().map(|errors| errors.to_string()))
    }

    #[test]
    fn names_tables_as_diesel_does() {
        for (name, table) in [("Customer", "customers"), ("FooBarBaz", "foo_bar_bazs"), ("HTTPLog", "h_t_t_p_logs")] {
            let path = default_table(&Ident::new(name, Span::call_site()));
            assert!(path.is_ident(table), "{}", path.to_token_stream());
        }
    }

    #[test]
    fn reads_its_words_among_others() {
        let (read, errors) = read(&syn::parse_quote!(#[diesel(
            check_for_backend(diesel::sqlite::Sqlite),
            base_query_type = dsl::OrderBy<a::table, a::id>,
            table_name = crate::schema::people,
            belongs_to(Customer, foreign_key = who),
            primary_key(a, type),
        )]));
        assert_eq!(errors, None);
        assert_eq!(read.table.map(|t| t.to_token_stream().to_string()).as_deref(), Some("crate :: schema :: people"));
        assert_eq!(
            read.primary_key.map(|k| k.iter().map(ToString::to_string).collect::<Vec<_>>()),
            Some(vec!["a".into(), "r#type".into()])
        );
    }

    #[test]
    fn finds_the_column_of_a_relation_as_diesel_does() {
        let (read, errors) = read(&syn::parse_quote!(#[diesel(
            belongs_to(crate::BigCustomer<'_>),
            belongs_to(User, foreign_key = type),
        )]));
        assert_eq!(errors, None);
        let relations: Vec<_> = read.belongs_to.iter().map(|r| r.column.to_string()).collect();
        assert_eq!(relations, ["big_customer_id", "r#type"]);
    }

    #[test]
    fn says_what_is_misspelt() {
        let (_, errors) = read(&syn::parse_quote!(#[diesel(tabel_name = people)]));
        assert!(errors.is_some_and(|e| e.contains("did you mean `table_name`?")));
    }
}
