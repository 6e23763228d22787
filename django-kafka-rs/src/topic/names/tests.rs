use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use regex::Regex;

use super::derived::{RetryName, original_of, retry_pattern};
use super::template::NameError;
use super::*;

const SUFFIXES: Suffixes<'static> = Suffixes { retry: "retry", dead_letter: "dlt" };

const _: () = check_topic_name("${prefix}.public.orders");
const _: () = check_derived_names("crm", "${prefix}.public.orders", 5);

fn names<'a>(group: &'a str, topic: &'a str) -> DerivedNames<'a> {
    DerivedNames { group, topic, suffixes: SUFFIXES }
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn panic_text(f: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(f).expect_err("the check panics");
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

fn check_const(name: &'static str, expected: &Expect) {
    expected.assert_eq(&panic_text(|| check_topic_name(name)));
}

#[test]
fn the_constant_check_says_what_is_wrong() {
    check_const("", &expect!["topic name is empty"]);
    check_const("..", &expect!["topic name may not be `.` or `..`"]);
    check_const("^", &expect!["topic pattern `^` says nothing and would match every topic: write what follows it"]);
    check_const(
        "a b",
        &expect![
            "topic name may contain only letters, digits, '.', '_' and '-', and `${variable}` parts; a name that begins with '^' is a regular expression"
        ],
    );
    check_const("${prefix", &expect!["topic name has a `${` without its `}`"]);
    check_const("${}.a", &expect!["topic name has `${}`: name the variable between the braces"]);
    check_topic_name("${any thing}");
    check_topic_name("^[ab] c");
}

#[test]
fn the_constant_check_knows_kafkas_limit() {
    let longest: &'static str = String::leak("a".repeat(TOPIC_NAME_LENGTH_MAX));
    let longer: &'static str = String::leak("a".repeat(TOPIC_NAME_LENGTH_MAX + 1));
    check_topic_name(longest);
    check_const(longer, &expect!["topic name is longer than Kafka's 249 characters"]);
    let fits: &'static str = String::leak("a".repeat(TOPIC_NAME_LENGTH_MAX - "crm..retry.10".len()));
    check_derived_names("crm", fits, 10);
    expect!["the topic `{group}.{topic}.retry.100` would have 250 characters, and Kafka takes 249\n= help: shorten the group or the topic's name by 1"]
        .assert_eq(&panic_text(|| check_derived_names("crm", fits, 100)));
    expect!["the topic `{group}.{topic}.dlt` would have 257 characters, and Kafka takes 249\n= help: shorten the group or the topic's name by 8"]
        .assert_eq(&panic_text(|| check_derived_names("crm", longest, 0)));
}

fn check_substitute(template: &str, set: &[(&str, &str)], expected: &Expect) {
    let regex = template.starts_with('^');
    let result = substitute(template, &variables(set), regex).unwrap_or_else(|e| e.to_string());
    expected.assert_eq(&result);
}

#[test]
fn variables_are_filled_in() {
    check_substitute("${prefix}.public.${t}", &[("prefix", "shop"), ("t", "orders")], &expect!["shop.public.orders"]);
    check_substitute("^${prefix}\\.(a|b)$", &[("prefix", "shop.eu")], &expect![r"^shop\.eu\.(a|b)$"]);
    check_substitute("plain", &[], &expect!["plain"]);
}

#[test]
fn unknown_variables_are_named_with_the_known_ones() {
    check_substitute(
        "${prefix}.orders",
        &[],
        &expect![[
            r#"`${prefix}.orders`: the variable `prefix` is not set; set it under `[topic_variables]` in the settings: `prefix = "…"`"#
        ]],
    );
    check_substitute(
        "${prefx}.orders",
        &[("prefix", "shop"), ("region", "eu")],
        &expect!["`${prefx}.orders`: the variable `prefx` is not set; did you mean `prefix`? (known: prefix, region)"],
    );
    check_substitute("${a", &[], &expect!["`${a` has a `${` without its `}`"]);
    check_substitute("${}", &[], &expect!["`${}` has `${}`: name the variable between the braces"]);
}

fn check_name(name: &str, expected: &Expect) {
    expected.assert_eq(&validate(name).map_or_else(|e| e.to_string(), |()| "ok".to_owned()));
}

#[test]
fn names_follow_the_brokers_rules() {
    check_name("a.B-c_9", &expect!["ok"]);
    check_name("", &expect!["the name is empty"]);
    check_name(".", &expect!["`.` is not a name that Kafka allows: choose another one"]);
    check_name(
        "größe",
        &expect!["`größe` has 'ö' at position 3; a name may contain only letters, digits, '.', '_' and '-'"],
    );
    assert!(matches!(validate(&"a".repeat(250)), Err(NameError::TooLong { length: 250, .. })));
    assert!(validate_group(&"g".repeat(300)).is_ok());
    assert!(validate_group("crm group").is_err());
}

#[test]
fn patterns_of_retry_topics() {
    let check = |declared: &str, expected: &Expect| expected.assert_eq(&retry_pattern("crm.eu", declared, "retry"));
    check("shop.orders", &expect![r"^crm\.eu\.shop\.orders\.retry\.([0-9]+)$"]);
    check(r"^shop\..*$", &expect![r"^crm\.eu\.(shop\..*)\.retry\.([0-9]+)$"]);
    // The client searches, so a pattern without `$` matches more than it says.
    check("^shop", &expect![r"^crm\.eu\.(shop.*)\.retry\.([0-9]+)$"]);
    check("^a$|b", &expect![r"^crm\.eu\.(a|.*b.*)\.retry\.([0-9]+)$"]);
    check(r"^[^$]\$(a|b)$", &expect![r"^crm\.eu\.([^$]\$(a|b))\.retry\.([0-9]+)$"]);
}

#[test]
fn a_groups_own_topics_are_kept_from_its_patterns() {
    let list = own_topics_pattern("crm", SUFFIXES);
    expect![[r"^crm\..*\.retry\.[0-9]+$,^crm\..*\.dlt$"]].assert_eq(&list);
}

#[test]
fn retry_names_are_read_back() {
    assert_eq!(original_of("crm.a.b.retry.12", "crm", "retry"), Some(RetryName { topic: "a.b", number: 12 }));
    for other in ["crm.a.retry.0", "crm.a.retry.01", "crm.a.retry.x", "crm.a.retry.+1", "crm.retry.1", "x.a.retry.1"] {
        assert_eq!(original_of(other, "crm", "retry"), None, "{other}");
    }
}

#[test]
fn conflicts_are_named_with_their_declarations() {
    let conflicts = derived_name_conflicts(
        [("a", "b.c", "x.rs:1"), ("a.b", "c", "x.rs:2"), ("crm", "crm.orders.dlt", "x.rs:3"), ("crm", "t", "x.rs:4")],
        SUFFIXES,
    );
    expect![[r"
        x.rs:2: group `a.b` with topic `c` and group `a` with topic `b.c` (x.rs:1) share their retry and dead letter topics `a.b.c.…`: rename one of the groups
        x.rs:3: topic `crm.orders.dlt` looks like a retry or dead letter topic of group `crm`, which this program fills itself: consume it under another group, or change `retry_topic_suffix` or `dead_letter_topic_suffix` in the settings"]]
    .assert_eq(&conflicts.join("\n"));
}

#[test]
fn suffixes_must_be_told_apart() {
    let check = |retry, dead_letter, expected: &Expect| {
        let result = Suffixes { retry, dead_letter }.validate();
        expected.assert_eq(&result.map_or_else(|(key, why)| format!("{key}: {why}"), |()| "ok".to_owned()));
    };
    check("retry", "dlt", &expect!["ok"]);
    check(
        "x",
        "x",
        &expect![
            "dead_letter_topic_suffix: `retry_topic_suffix` and `dead_letter_topic_suffix` are both `x`: they must differ"
        ],
    );
    check(
        "retry",
        "d.1",
        &expect![
            "dead_letter_topic_suffix: `d.1` ends in a number, as the names of retry topics do: choose one that does not"
        ],
    );
    check(
        "re try",
        "dlt",
        &expect![
            "retry_topic_suffix: `re try` has ' ' at position 3; a name may contain only letters, digits, '.', '_' and '-'"
        ],
    );
}

fn name() -> impl Strategy<Value = String> {
    // Few letters and many dots, so that joins meet often.
    proptest::string::string_regex("[a-b](\\.?(a|b|retry|dlt|1)){0,4}").expect("a valid pattern")
}

proptest! {
    #[test]
    fn derived_names_collide_only_where_it_is_reported(
        g1 in name(), t1 in name(), g2 in name(), t2 in name(), n in 1_u32..4, m in 1_u32..4,
        retry in name(), dead_letter in name(),
    ) {
        let suffixes = Suffixes { retry: &retry, dead_letter: &dead_letter };
        prop_assume!(suffixes.validate().is_ok());
        let one = DerivedNames { group: &g1, topic: &t1, suffixes };
        let two = DerivedNames { group: &g2, topic: &t2, suffixes };
        prop_assert_ne!(one.retry_topic(n), two.dead_letter_topic());
        if (&g1, &t1) != (&g2, &t2) {
            let same = one.retry_topic(n) == two.retry_topic(m) || one.dead_letter_topic() == two.dead_letter_topic();
            let reported = derived_name_conflicts([(&*g1, &*t1, 1), (&*g2, &*t2, 2)], suffixes);
            prop_assert!(!same || !reported.is_empty());
        }
    }

    #[test]
    fn derived_names_are_legal_and_read_back(group in name(), topic in name(), n in 1_u32..100) {
        let derived = names(&group, &topic);
        prop_assert!(derived.validate(n).is_ok());
        let retry = derived.retry_topic(n);
        prop_assert_eq!(original_of(&retry, &group, "retry"), Some(RetryName { topic: &topic, number: n }));
        let pattern = Regex::new(&retry_pattern(&group, &topic, "retry")).expect("a valid pattern");
        prop_assert!(pattern.is_match(&derived.retry_topic(n)));
        let own = own_topics_pattern(&group, SUFFIXES);
        for own_name in [derived.retry_topic(n), derived.dead_letter_topic()] {
            prop_assert!(own.split(',').any(|p| Regex::new(p).expect("a valid pattern").is_match(&own_name)));
        }
    }

    #[test]
    fn a_patterns_retry_topics_are_found(
        declared in "\\^[ab]{1,2}(\\\\\\.)?(a|b|\\(a\\|b\\)|\\.\\*|\\[\\^a\\]){0,3}\\$?(\\|\\^?b[ab]?\\$?)?",
        topics in proptest::collection::vec(name(), 20), n in 1_u32..100,
    ) {
        let Ok(regex) = Regex::new(&declared) else { return Ok(()) };
        let pattern = Regex::new(&retry_pattern("crm", &declared, "retry")).expect("a valid pattern");
        for topic in topics.iter().filter(|topic| regex.is_match(topic)) {
            prop_assert!(pattern.is_match(&names("crm", topic).retry_topic(n)), "{} {}", pattern, topic);
        }
    }

    #[test]
    fn substituted_values_are_literal_in_a_pattern(value in "[a-z.*+?(){}|$\\^\\[\\]\\\\]{1,8}") {
        let pattern = substitute("^${v}$", &variables(&[("v", &value)]), true).expect("the variable is set");
        prop_assert!(Regex::new(&pattern).expect("a valid pattern").is_match(&value));
    }

    #[test]
    fn substitution_never_panics(template in ".{0,20}", value in ".{0,5}") {
        let _ = substitute(&template, &variables(&[("a", &value)]), template.starts_with('^'));
        let _ = validate(&template);
        let _ = retry_pattern(&value, &template, "retry");
    }
}
