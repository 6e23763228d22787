//! Names of topics and groups as they are declared: `${variable}` parts, and `^…` for a regular expression.

use std::fmt::Display;

use crate::attr::pattern;
use crate::ctx::Ctx;
use crate::diag;

/// Kafka's limit on a topic's name, in characters.
const LENGTH_MAX: usize = 249;

/// A topic's name.
#[derive(Debug, Clone)]
pub(crate) enum TopicName {
    /// `name = "orders"`.
    Exact(syn::LitStr),
    /// `name = "^orders\\..*"`.
    Pattern(syn::LitStr),
    /// `name = NAMES_TOPIC`: checked by a `const fn` of the runtime.
    Path(syn::Path),
}

impl TopicName {
    /// Whether there may be several topics of this name.
    pub(crate) fn is_pattern(&self) -> bool {
        matches!(self, Self::Pattern(_))
    }
}

/// A part of a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// As it is.
    Text(&'a str),
    /// The name of a variable.
    Variable(&'a str),
}

/// The parts of a template, or what is wrong with it.
pub(crate) fn parts(template: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        let Some((variable, after)) = after.split_once('}') else {
            return Err(diag::help(
                format_args!("`${{{after}` has no `}}`"),
                "a variable is written `${name}`; its value comes from `[topic_variables]` in the settings",
            ));
        };
        if variable.is_empty() || !variable.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            return Err(diag::help(
                format_args!("`${{{variable}}}` is not a variable"),
                "a variable's name has letters, digits and `_`, as in `${prefix}`",
            ));
        }
        parts.push(Part::Variable(variable));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// Checks a topic's name; a mistake underlines the literal.
pub(crate) fn topic(ctx: &Ctx, literal: syn::LitStr) -> Option<TopicName> {
    let name = literal.value();
    let fault = match name.strip_prefix('^') {
        Some(_) => parts(&name).and_then(|parts| pattern::check(&parts)),
        None => exact(&name),
    };
    match fault {
        Ok(()) if name.starts_with('^') => Some(TopicName::Pattern(literal)),
        Ok(()) => Some(TopicName::Exact(literal)),
        Err(message) => {
            ctx.error(literal, message);
            None
        }
    }
}

/// Checks the name of one topic, which is no pattern, and why; a mistake underlines the literal.
pub(crate) fn one_topic(ctx: &Ctx, literal: syn::LitStr, why: &str) -> Option<syn::LitStr> {
    let name = literal.value();
    let fault = match name.strip_prefix('^') {
        Some(_) => Err(diag::help(
            diag::note(format_args!("`{name}` is a pattern"), why),
            "write the topic's own name, without `^`",
        )),
        None if name.is_empty() => {
            Err(diag::help("the topic's name is empty", "write the name of a topic, for example `\"orders\"`"))
        }
        None => exact(&name),
    };
    match fault {
        Ok(()) => Some(literal),
        Err(message) => {
            ctx.error(literal, message);
            None
        }
    }
}

/// Checks a consumer's group; a mistake underlines the literal.
pub(crate) fn group(ctx: &Ctx, literal: syn::LitStr) -> Option<syn::LitStr> {
    let name = literal.value();
    let fault = if name.is_empty() {
        Err(diag::help("the group is empty", "write `group = \"crm\"`"))
    } else {
        let rule = "retry and dead letter topics are named after the group, and the name of a topic may contain only \
                    letters, digits, `.`, `_` and `-`";
        parts(&name).and_then(|parts| legal("a group", &name, &parts, rule))
    };
    match fault {
        Ok(()) => Some(literal),
        Err(message) => {
            ctx.error(literal, message);
            None
        }
    }
}

/// Checks a connector's name; a mistake underlines the literal.
pub(crate) fn connector(ctx: &Ctx, literal: syn::LitStr) -> Option<syn::LitStr> {
    match connector_name(&literal.value()) {
        Ok(()) => Some(literal),
        Err(message) => {
            ctx.error(literal, message);
            None
        }
    }
}

fn connector_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err(diag::help("the connector's name is empty", "write `name = \"crm-source\"`, or leave it out"));
    }
    if name.trim() != name {
        return Err(diag::help("the connector's name has spaces around it", format_args!("write `{}`", name.trim())));
    }
    for part in parts(name)? {
        let Part::Text(text) = part else { continue };
        let refused = |c: &char| c.is_control() || matches!(c, '/' | '\\' | '%' | ';' | '?' | '#' | '{' | '}');
        if let Some(illegal) = text.chars().find(refused) {
            let message = format_args!("the name of a connector cannot contain `{}`", illegal.escape_debug());
            let why = "the name is a part of the address under which Kafka Connect has the connector";
            let cure = text.replace(|c| refused(&c), "-");
            return Err(diag::help(diag::note(message, why), format_args!("write `{}`", name.replace(text, &cure))));
        }
    }
    Ok(())
}

fn exact(name: &str) -> Result<(), String> {
    match name {
        "" => return Err(diag::help("the topic's name is empty", "write `name = \"orders\"`")),
        "." | ".." => {
            let message = format_args!("`{name}` cannot be the name of a topic");
            return Err(diag::help(diag::note(message, "Kafka refuses `.` and `..`"), "write `name = \"orders\"`"));
        }
        _ => {}
    }
    let parts = parts(name)?;
    legal("the name of a topic", name, &parts, "it may contain only letters, digits, `.`, `_` and `-`")?;
    let length: usize = parts.iter().map(|part| if let Part::Text(text) = part { text.len() } else { 0 }).sum();
    if length > LENGTH_MAX {
        return Err(diag::help(
            diag::note(
                format_args!("the topic's name is {length} characters long"),
                format_args!("Kafka takes {LENGTH_MAX} at most"),
            ),
            format_args!("shorten it by {}", length - LENGTH_MAX),
        ));
    }
    Ok(())
}

/// Whether the text parts of `name` have only what topics' names may have; `what` is a noun phrase for it.
fn legal(what: &str, name: &str, parts: &[Part<'_>], rule: impl Display) -> Result<(), String> {
    for part in parts {
        let Part::Text(text) = part else { continue };
        let Some(at) = text.find(is_illegal) else { continue };
        let (before, from) = text.split_at(at);
        let illegal = from.chars().next().unwrap_or_default();
        let cure = match illegal {
            '*' | '+' | '?' | '[' | '(' | '|' | '\\' | '^' => {
                format!("for a regular expression begin it with `^`: `{:?}`", format!("^{name}"))
            }
            '$' => {
                let rest = from.trim_start_matches('$');
                let variable = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                let variable = if variable.is_empty() { "prefix" } else { variable };
                format!("a variable is written `${{{variable}}}`")
            }
            c if c.is_alphabetic() => "write it in the letters of ASCII".to_owned(),
            '{' | '}' => "a variable is written `${prefix}`".to_owned(),
            _ => format!("write `{}`", name.replace(text, &format!("{before}{}", from.replace(is_illegal, "_")))),
        };
        let message = format_args!("{what} cannot contain `{}`", illegal.escape_debug());
        return Err(diag::help(diag::note(message, rule), cure));
    }
    Ok(())
}

fn is_illegal(c: char) -> bool {
    !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_kafka_accepts() {
        for name in ["orders", "a.b_c-9", "${prefix}.public.orders", "${a}${b}", "...", &"x".repeat(249)] {
            assert_eq!(exact(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn takes_what_connect_takes_as_a_part_of_an_address() {
        for name in ["crm-source", "shop.Crm Source", "${prefix}.crm", "Käufer"] {
            assert_eq!(connector_name(name), Ok(()), "{name}");
        }
        for (name, part) in [
            ("", "is empty"),
            (" ", "is empty"),
            (" a", "spaces around it"),
            ("a/b", "cannot contain `/`"),
            ("a/b ${c}/d", "write `a-b ${c}/d`"),
            ("a%b", "cannot contain `%`"),
            ("a\nb", "cannot contain `\\n`"),
            ("${prefix", "has no `}`"),
        ] {
            let error = connector_name(name).expect_err(name);
            assert!(error.contains(part), "{name}: {error}");
        }
    }

    #[test]
    fn refuses_what_kafka_refuses() {
        for (name, part) in [
            ("", "empty"),
            (".", "cannot be the name"),
            ("..", "cannot be the name"),
            ("a b/c", "cannot contain ` `"),
            ("a b/c", "write `a_b_c`"),
            ("${a}.b c", "write `${a}.b_c`"),
            ("a/b", "cannot contain `/`"),
            ("naïve", "cannot contain `ï`"),
            ("orders.*", "begin it with `^`: `\"^orders.*\"`"),
            ("${prefix", "has no `}`"),
            ("${}", "not a variable"),
            ("${a b}", "not a variable"),
            ("$env.orders", "a variable is written `${env}`"),
            ("$", "a variable is written `${prefix}`"),
            (&"x".repeat(250), "250 characters"),
        ] {
            let error = exact(name).expect_err(name);
            assert!(error.contains(part), "{name}: {error}");
        }
    }
}
