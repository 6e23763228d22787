//! Checks librdkafka's properties in `config(…)` against the table of the bundled librdkafka.

mod table;

use std::collections::HashMap;

use crate::attr::config::Pair;
use crate::ctx::Ctx;
use crate::diag;
use crate::model::consumer::{ConfigValue, Property};
use table::{Kind, Scope};

/// The properties of a consumer; those with a mistake are reported and left out.
pub(crate) fn check_consumer(ctx: &Ctx, pairs: Vec<Pair>) -> Vec<Property> {
    let mut first_names: HashMap<&str, String> = HashMap::new();
    let mut properties = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let name = pair.key.value();
        let Some(known) = table::find(&name) else {
            ctx.error(&pair.key, unknown(&name));
            continue;
        };
        if let Some(message) = refused(known) {
            ctx.error(&pair.key, message);
            continue;
        }
        if let Some(message) = value_fault(known, &pair) {
            ctx.error(&pair.value_tokens, message);
            continue;
        }
        if let Some(message) = owned(&name, &pair.value) {
            ctx.error(&pair.key, message);
            continue;
        }
        if let Some(first) = first_names.insert(known.alias_of.unwrap_or(known.name), name.clone()) {
            let message = format_args!("`{name}` is the same property as `{first}`, which is set too");
            ctx.error(&pair.key, diag::help(message, "keep one of the two"));
            continue;
        }
        properties.push(Property { key: pair.key, value: pair.value, deprecated: known.deprecated });
    }
    properties
}

fn unknown(name: &str) -> String {
    let consumers = table::PROPERTIES.iter().filter(|property| property.scope != Scope::Producer);
    let message = format!("librdkafka has no property `{name}`");
    match diag::nearest(name, consumers.map(|property| property.name)) {
        Some(near) => format!("{message}; did you mean `{near}`?"),
        None => diag::help(message, "the properties are listed in librdkafka's CONFIGURATION.md"),
    }
}

/// Why a consumer cannot have the property at all.
fn refused(property: &table::Property) -> Option<String> {
    let name = property.name;
    if property.scope == Scope::Producer {
        return Some(diag::help(
            format_args!("`{name}` is a property of producers"),
            "set it in `[producer_config]` of the settings file; one producer serves all consumers",
        ));
    }
    (property.kind == Kind::Callback).then(|| {
        diag::help(
            diag::note(format_args!("`{name}` cannot be set as text"), "it is a function in librdkafka's C interface"),
            "leave it out",
        )
    })
}

/// What is wrong with the value. Values from the environment and the settings file are checked at start.
fn value_fault(property: &table::Property, pair: &Pair) -> Option<String> {
    if matches!(property.kind, Kind::Text | Kind::Callback) {
        return match pair.value {
            ConfigValue::Str(_) | ConfigValue::Env(_) | ConfigValue::Setting(_) => None,
            _ => {
                let found = diag::describe(&pair.value_tokens);
                let message = format!("`{}` expects a string literal, found {found}", property.name);
                Some(diag::help(message, format_args!("write `\"{}\"`", pair.value_tokens)))
            }
        };
    }
    let text = match &pair.value {
        ConfigValue::Str(text) => text.value(),
        ConfigValue::Int(number) => number.to_string(),
        ConfigValue::Float(number) => number.to_string(),
        ConfigValue::Bool(flag) => flag.to_string(),
        ConfigValue::Env(_) | ConfigValue::Setting(_) => return None,
    };
    // As text, librdkafka takes `1` for true; as a literal it is a slip.
    let wrong_type = property.kind == Kind::Boolean && matches!(pair.value, ConfigValue::Int(_));
    (wrong_type || !property.kind.accepts(&text)).then(|| {
        let message = format!("`{}` expects {}, found `{text}`", property.name, property.kind.expected());
        match value_cure(property, &text) {
            Some(cure) => diag::help(message, cure),
            None => message,
        }
    })
}

/// What to write instead of a value: the word that was probably meant, or else the default.
fn value_cure(property: &table::Property, text: &str) -> Option<String> {
    let words = match property.kind {
        Kind::Choice(words) | Kind::Integer(_, _, words) => words,
        Kind::Boolean => match text {
            "1" => return Some("write `true`".to_owned()),
            "0" => return Some("write `false`".to_owned()),
            _ => &["true", "false"],
        },
        Kind::Text | Kind::Float(..) | Kind::Flags(_) | Kind::Callback => &[],
    };
    match diag::nearest(text, words.iter().copied()) {
        Some(word) if property.kind == Kind::Boolean => Some(format!("write `{word}`")),
        Some(word) => Some(format!("write `\"{word}\"`")),
        None if property.default.is_empty() => None,
        None => Some(format!("leave it out for librdkafka's default, `{}`", property.default)),
    }
}

/// Why the runtime keeps the property to itself.
fn owned(name: &str, value: &ConfigValue) -> Option<String> {
    let (why, cure) = match name {
        "enable.auto.offset.store" if !is_false(value) => (
            "with `true` an offset would be stored before its message is handled, and a crash would lose the message",
            "leave it out, or write `\"enable.auto.offset.store\" = false`",
        ),
        "enable.auto.commit" | "auto.commit.enable" => (
            "the runtime stores the offset of a message once it is handled, and commits what is stored",
            "leave it out; `auto.commit.interval.ms` says how often",
        ),
        "enable.partition.eof" => {
            ("the runtime finds the ends of partitions by it", "leave it out; `consume --until-end` stops there")
        }
        "test.mock.num.brokers" => {
            ("the runtime runs the embedded broker by it", "leave it out; `--embedded` starts one")
        }
        _ => return None,
    };
    Some(diag::help(diag::note(format_args!("`{name}` belongs to the runtime"), why), cure))
}

fn is_false(value: &ConfigValue) -> bool {
    match value {
        ConfigValue::Bool(flag) => !flag,
        ConfigValue::Str(text) => ["false", "f", "0"].contains(&text.value().to_lowercase().as_str()),
        _ => false,
    }
}
