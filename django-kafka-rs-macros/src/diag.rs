//! How messages are worded. The first line says what is wrong, in the user's words; `= note:` says why and
//! `= help:` how to mend it (lines that begin so print like rustc's own).

use std::fmt::Display;

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};

use crate::not_yet;
use crate::symbol::{Vocabulary, Word};

/// `message`, and why.
pub(crate) fn note(message: impl Display, note: impl Display) -> String {
    format!("{message}\n= note: {note}")
}

/// `message`, and how to mend it.
pub(crate) fn help(message: impl Display, help: impl Display) -> String {
    format!("{message}\n= help: {help}")
}

/// An option that the attribute does not have: the nearest name, or where it belongs, and always the whole list.
pub(crate) fn unknown_option(word: &str, vocabulary: &Vocabulary) -> String {
    let title = vocabulary.title;
    let names: Vec<_> =
        vocabulary.words.iter().map(|w| w.name).filter(|name| not_yet::is_built(vocabulary, name)).collect();
    let first = match (nearest(word, names.iter().copied()), vocabulary.elsewhere(word)) {
        (_, Some(other)) => format!("`{word}` is an option of {}, not of {title}", other.title),
        (Some(near), None) => format!("unknown option `{word}` of {title}; did you mean `{near}`?"),
        (None, None) => format!("unknown option `{word}` of {title}"),
    };
    help(first, format_args!("{title} takes {}", list(&names)))
}

/// An option given twice.
pub(crate) fn duplicate(name: impl Display, first: Span) -> String {
    // Outside a compiler (in our tests) a span has no line, and asking for one panics.
    if proc_macro::is_available() {
        format!("`{name}` is given twice; the first is on line {}", first.unwrap().line())
    } else {
        format!("`{name}` is given twice")
    }
}

/// A value of the wrong form. `expected` and `found` are noun phrases ("a string literal").
pub(crate) fn expected_found(word: &Word, expected: impl Display, found: impl Display) -> String {
    help(format_args!("`{}` expects {expected}, found {found}", word.name), format_args!("write `{}`", word.example))
}

/// An option that has to be there and is not.
pub(crate) fn missing(title: &str, option: &str, example: impl Display) -> String {
    help(format_args!("{title} needs `{option}`"), format_args!("write `{example}`"))
}

/// "`a`, `b` and `c`".
pub(crate) fn list(names: &[&str]) -> String {
    joined(names, "and")
}

/// "`a`, `b` or `c`".
pub(crate) fn list_or(names: &[&str]) -> String {
    joined(names, "or")
}

fn joined(names: &[&str], conjunction: &str) -> String {
    match names {
        [] => String::from("nothing"),
        [one] => format!("`{one}`"),
        [start @ .., last] => {
            let start: Vec<_> = start.iter().map(|name| format!("`{name}`")).collect();
            format!("{} {conjunction} `{last}`", start.join(", "))
        }
    }
}

/// The candidate that `word` was probably meant to be; none, where none is near.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let limit = (lower.chars().count() / 3).max(1);
    let mut related = None;
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = distance(&lower, &candidate.to_lowercase());
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
        // `retries` for `max_retries`.
        if related.is_none() && lower.len() > 3 && candidate.contains(lower.as_str()) {
            related = Some(candidate);
        }
    }
    best.map(|(_, candidate)| candidate).or(related)
}

/// Edit distance: insertions, deletions, replacements, and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&above, j) + usize::from(x != y)).min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or_default()
}

/// What stands there, as a noun phrase: "a string literal", "an integer", "nothing", …
pub(crate) fn describe(tokens: &TokenStream) -> String {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    match trees.as_slice() {
        [] => String::from("nothing"),
        [TokenTree::Literal(literal)] => describe_literal(&syn::Lit::new(literal.clone())).into(),
        [TokenTree::Punct(minus), TokenTree::Literal(literal)] if minus.as_char() == '-' => {
            describe_literal(&syn::Lit::new(literal.clone())).into()
        }
        [TokenTree::Ident(ident)] => format!("`{ident}`"),
        // What a `macro_rules!` fragment brings.
        [TokenTree::Group(group)] if group.delimiter() == Delimiter::None => describe(&group.stream()),
        [TokenTree::Group(group)] if group.delimiter() == Delimiter::Bracket => String::from("a list in brackets"),
        _ if syn::parse2::<syn::Path>(tokens.clone()).is_ok() => String::from("a path"),
        _ => String::from("an expression"),
    }
}

fn describe_literal(literal: &syn::Lit) -> &'static str {
    match literal {
        syn::Lit::Str(_) => "a string literal",
        syn::Lit::ByteStr(_) => "a byte string",
        syn::Lit::CStr(_) => "a C string",
        syn::Lit::Byte(_) => "a byte",
        syn::Lit::Char(_) => "a character",
        syn::Lit::Int(_) => "an integer",
        syn::Lit::Float(_) => "a float",
        syn::Lit::Bool(_) => "a boolean",
        _ => "a literal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_name_or_none() {
        let names = ["max_retries", "delay", "max_delay", "backoff"];
        assert_eq!(nearest("max_retrys", names), Some("max_retries"));
        assert_eq!(nearest("dealy", names), Some("delay"));
        assert_eq!(nearest("Backoff", names), Some("backoff"));
        assert_eq!(nearest("retries", names), Some("max_retries"));
        assert_eq!(nearest("colour", names), None);
    }

    #[test]
    fn counts_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abcd", "acbd"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn lists_names_as_prose() {
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
