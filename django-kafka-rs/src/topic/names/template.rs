//! From a declared name to the broker's: `${variables}`, then the broker's rules.

use std::collections::BTreeMap;

use super::{TOPIC_NAME_LENGTH_MAX, is_legal};
use crate::nearest::nearest;

/// A name that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NameError {
    /// Nothing is left.
    #[error("the name is empty")]
    Empty,
    /// Kafka's own limit.
    #[error("`{name}` has {length} characters, and Kafka allows {TOPIC_NAME_LENGTH_MAX}: shorten it")]
    TooLong {
        /// The name.
        name: String,
        /// Its length in bytes.
        length: usize,
    },
    /// Kafka's own alphabet.
    #[error(
        "`{name}` has {character:?} at position {position}; a name may contain only letters, digits, '.', '_' and '-'"
    )]
    IllegalCharacter {
        /// The name.
        name: String,
        /// The first one that is not allowed.
        character: char,
        /// Where it stands, from 1.
        position: usize,
    },
    /// `.` and `..` are directories.
    #[error("`{0}` is not a name that Kafka allows: choose another one")]
    Dots(String),
    /// A `${` whose `}` is missing.
    #[error("`{0}` has a `${{` without its `}}`")]
    UnclosedVariable(String),
    /// `${}`.
    #[error("`{0}` has `${{}}`: name the variable between the braces")]
    EmptyVariable(String),
    /// A variable that `[topic_variables]` does not have.
    #[error("`{template}`: the variable `{variable}` is not set; {remedy}")]
    UnknownVariable {
        /// The name as declared.
        template: String,
        /// What it asks for.
        variable: String,
        /// What to do, with the variables that are set.
        remedy: String,
    },
}

/// Fills the `${variable}` parts of a declared name. In a regular expression the values are taken literally:
/// their special characters are escaped.
pub(crate) fn substitute(
    template: &str,
    variables: &BTreeMap<String, String>,
    regex: bool,
) -> Result<String, NameError> {
    let mut name = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        name.push_str(before);
        let Some((variable, after)) = after.split_once('}') else {
            return Err(NameError::UnclosedVariable(template.to_owned()));
        };
        if variable.is_empty() {
            return Err(NameError::EmptyVariable(template.to_owned()));
        }
        let Some(value) = variables.get(variable) else {
            return Err(unknown_variable(template, variable, variables));
        };
        if regex {
            push_escaped(&mut name, value);
        } else {
            name.push_str(value);
        }
        rest = after;
    }
    name.push_str(rest);
    Ok(name)
}

fn unknown_variable(template: &str, variable: &str, variables: &BTreeMap<String, String>) -> NameError {
    let known: Vec<&str> = variables.keys().map(String::as_str).collect();
    let set = format!("set it under `[topic_variables]` in the settings: `{variable} = \"…\"`");
    let remedy = match (nearest(variable, &known), known.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`? (known: {})", known.join(", ")),
        (None, false) => format!("{set} (known: {})", known.join(", ")),
        (None, true) => set,
    };
    NameError::UnknownVariable { template: template.to_owned(), variable: variable.to_owned(), remedy }
}

/// Checks a topic's name by the broker's rules.
pub(crate) fn validate(name: &str) -> Result<(), NameError> {
    check_characters(name)?;
    if name == "." || name == ".." {
        return Err(NameError::Dots(name.to_owned()));
    }
    if name.len() > TOPIC_NAME_LENGTH_MAX {
        return Err(NameError::TooLong { name: name.to_owned(), length: name.len() });
    }
    Ok(())
}

/// Checks a group's id. Kafka would allow more, but retry and dead letter topics carry it in their names.
pub(crate) fn validate_group(group: &str) -> Result<(), NameError> {
    check_characters(group)
}

fn check_characters(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let illegal = name.chars().enumerate().find(|(_, c)| !(c.is_ascii() && is_legal(*c as u8)));
    match illegal {
        None => Ok(()),
        Some((at, character)) => {
            Err(NameError::IllegalCharacter { name: name.to_owned(), character, position: at + 1 })
        }
    }
}

/// Appends `literal` so that a POSIX extended regular expression, which is what the Kafka client reads, and Rust's
/// take it as it is. (`regex::escape` escapes more than POSIX defines.)
pub(super) fn push_escaped(pattern: &mut String, literal: &str) {
    for c in literal.chars() {
        if matches!(c, '.' | '^' | '$' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
}
