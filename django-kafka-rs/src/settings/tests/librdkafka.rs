//! The table of librdkafka's properties against the librdkafka that is linked: what one takes, the other takes.

use std::fmt::Write as _;

use rdkafka::config::ClientConfig;

use super::super::librdkafka_table::{Kind, PROPERTIES, Property};

const TABLE: &str = include_str!("../librdkafka_table.rs");

/// Why librdkafka refuses the value. It only reads it: no client is made.
fn refusal(property: &Property, value: &impl ToString) -> Option<String> {
    let mut config = ClientConfig::new();
    config.set(property.name, value.to_string()).create_native_config().err().map(|error| error.to_string())
}

/// Whether librdkafka takes the value.
fn takes(property: &Property, value: &impl ToString) -> bool {
    refusal(property, value).is_none()
}

/// Whether a refusal is only of a librdkafka that was built without a part of it: TLS, SASL and zstd are features of ours.
fn is_of_this_build(refusal: &str) -> bool {
    ["not available at build time", "not supported in this build", "disabled at build time"]
        .iter()
        .any(|words| refusal.contains(words))
}

/// What can be set in this build. `builtin.features`, without words, is there to be read.
fn settable() -> impl Iterator<Item = &'static Property> {
    PROPERTIES
        .iter()
        .filter(|property| !matches!(property.kind, Kind::Callback | Kind::Flags([])))
        .filter(|property| refusal(property, &property.default).is_none_or(|error| !is_of_this_build(&error)))
}

/// Tells each property that this librdkafka has what is wrong with it.
fn check(rule: &str, wrong: impl Fn(&Property) -> Option<String>) {
    let mut faults = String::new();
    let mut checked = 0;
    for property in settable() {
        checked += 1;
        if let Some(fault) = wrong(property) {
            writeln!(faults, "  {}: {fault}", property.name).expect("a String takes everything");
        }
    }
    assert!(checked > 100, "only {checked} properties were checked: what has become of the table?");
    assert!(faults.is_empty(), "{rule}: does scripts/generate-librdkafka-table read what is new?\n{faults}");
}

#[test]
fn the_table_is_that_of_the_librdkafka_that_is_linked() {
    let (_, linked) = rdkafka::util::get_rdkafka_version();
    let source = TABLE.lines().next().unwrap_or_default();
    assert!(
        source.contains(&format!("+{linked}:")),
        "librdkafka is {linked}, and the table says: {source}\nrun scripts/generate-librdkafka-table"
    );
}

#[test]
fn the_macros_have_the_same_table() {
    let macros = include_str!("../../../../django-kafka-rs-macros/src/librdkafka/table.rs");
    assert!(macros == TABLE, "run scripts/generate-librdkafka-table");
}

#[test]
fn ranges_begin_and_end_where_librdkafkas_do() {
    check("ranges", |property| match property.kind {
        Kind::Integer(min, max, _) => {
            let outside = [min.checked_sub(1), max.checked_add(1)];
            let refused = [min, max].into_iter().find(|n| !takes(property, n));
            let taken = outside.into_iter().flatten().find(|n| takes(property, n));
            refused.map(|n| format!("librdkafka refuses {n}")).or(taken.map(|n| format!("librdkafka takes {n}")))
        }
        Kind::Float(min, max) => {
            let refused = [min, max].into_iter().find(|x| !takes(property, x));
            let taken = [min - 1.0, max + 1.0].into_iter().find(|x| takes(property, x));
            refused.map(|x| format!("librdkafka refuses {x}")).or(taken.map(|x| format!("librdkafka takes {x}")))
        }
        _ => None,
    });
}

#[test]
fn words_are_those_that_librdkafka_knows() {
    check("words", |property| {
        let (words, spellings): (&[&str], &[&str]) = match property.kind {
            Kind::Choice(words) | Kind::Integer(_, _, words) => (words, &["no-such-word"]),
            Kind::Flags(words) if !words.is_empty() => (words, &["no-such-word"]),
            Kind::Boolean => (&["true", "false", "t", "f", "1", "0", "TRUE"], &["yes", "2"]),
            _ => return None,
        };
        let unknown: Vec<_> = words
            .iter()
            .filter(|word| refusal(property, word).is_some_and(|error| !is_of_this_build(&error)))
            .collect();
        let taken = spellings.iter().find(|word| takes(property, word));
        match (unknown.as_slice(), taken) {
            ([], None) => None,
            ([], Some(word)) => Some(format!("librdkafka takes `{word}`")),
            (unknown, _) => Some(format!("librdkafka refuses {unknown:?}")),
        }
    });
}

#[test]
fn defaults_pass_our_own_check() {
    check("defaults", |property| {
        let (kind, default) = (property.kind, property.default);
        (!default.is_empty() && !kind.accepts(default)).then(|| format!("`{default}` is not {}", kind.expected()))
    });
}
