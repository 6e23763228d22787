//! Topic names: what is legal, and how retry and dead letter names are made. Pure.
//!
//! A *template* is a name as it was declared: with `${variable}` parts, and beginning with `^` where it is a
//! regular expression. A *name* is what the broker sees.

#[cfg(feature = "client")]
mod derived;
#[cfg(feature = "client")]
mod template;
#[cfg(all(test, feature = "client"))]
mod tests;

#[cfg(feature = "client")]
pub(crate) use self::derived::{
    DerivedNames, Suffixes, dead_letter_pattern, derived_name_conflicts, original_of, own_topics_pattern,
    retry_pattern, topic_of_dead_letters,
};
#[cfg(feature = "client")]
pub(crate) use self::template::{substitute, validate, validate_group};

use crate::const_text::Text;

/// How long a topic's name may be: Kafka's limit, in bytes.
pub(crate) const TOPIC_NAME_LENGTH_MAX: usize = 249;

/// Checks a topic's name as declared, while the program is compiled.
///
/// `${variable}` parts are passed over: what they become is checked at start. Of a regular expression only this
/// much is known here: that it is not empty.
///
/// # Panics
/// The name can never be legal. In a constant this is a compile error with the panic's text.
#[track_caller]
pub const fn check_topic_name(name: &str) {
    let bytes = name.as_bytes();
    assert!(!bytes.is_empty(), "topic name is empty");
    if bytes[0] == b'^' {
        assert!(bytes.len() > 1, "topic pattern `^` says nothing and would match every topic: write what follows it");
        return;
    }
    match literal_length(bytes) {
        Ok(length) => {
            assert!(length <= TOPIC_NAME_LENGTH_MAX, "topic name is longer than Kafka's 249 characters");
            let dots = bytes[0] == b'.' && (bytes.len() == 1 || (bytes.len() == 2 && bytes[1] == b'.'));
            assert!(!dots, "topic name may not be `.` or `..`");
        }
        Err(Illegal::Character) => panic!(
            "topic name may contain only letters, digits, '.', '_' and '-', and `${{variable}}` parts; \
             a name that begins with '^' is a regular expression"
        ),
        Err(Illegal::UnclosedVariable) => panic!("topic name has a `${{` without its `}}`"),
        Err(Illegal::EmptyVariable) => panic!("topic name has `${{}}`: name the variable between the braces"),
    }
}

/// Checks, while the program is compiled, that the names derived from a consumer's group and one of its topics
/// (both as declared) fit into Kafka's limit.
///
/// `max_retries` is that of a topic with non-blocking retries, else 0. Suffixes are taken at their defaults;
/// variables count as nothing: start-up checks both again as they are then. Regular expressions are not checked.
///
/// # Panics
/// A derived name would be too long. In a constant this is a compile error with the panic's text.
#[track_caller]
pub const fn check_derived_names(group: &str, topic: &str, max_retries: u32) {
    let topic = topic.as_bytes();
    if topic.is_empty() || topic[0] == b'^' {
        return;
    }
    let (Ok(group_length), Ok(topic_length)) = (literal_length(group.as_bytes()), literal_length(topic)) else {
        // Their own checks say what is wrong with them.
        return;
    };
    let joined = group_length + 1 + topic_length;
    if max_retries > 0 {
        let mut suffix = Text::of(&[".retry."]);
        suffix.push_number(max_retries as usize);
        check_derived_length(joined, suffix.as_str());
    }
    check_derived_length(joined, ".dlt");
}

/// Panics where a name of `joined` characters and the suffix is too long.
#[track_caller]
const fn check_derived_length(joined: usize, suffix: &str) {
    let length = joined + suffix.len();
    if length <= TOPIC_NAME_LENGTH_MAX {
        return;
    }
    let mut text = Text::of(&["the topic `{group}.{topic}", suffix, "` would have "]);
    text.push_number(length);
    text.push(" characters, and Kafka takes ");
    text.push_number(TOPIC_NAME_LENGTH_MAX);
    text.push("\n= help: shorten the group or the topic's name by ");
    text.push_number(length - TOPIC_NAME_LENGTH_MAX);
    panic!("{}", text.as_str())
}

/// Whether Kafka allows this byte in a topic's name.
pub(crate) const fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

enum Illegal {
    Character,
    UnclosedVariable,
    EmptyVariable,
}

/// How many characters a template has outside its variables.
const fn literal_length(bytes: &[u8]) -> Result<usize, Illegal> {
    let (mut at, mut length) = (0, 0);
    while at < bytes.len() {
        if bytes[at] == b'$' && at + 1 < bytes.len() && bytes[at + 1] == b'{' {
            let start = at + 2;
            at = start;
            while at < bytes.len() && bytes[at] != b'}' {
                at += 1;
            }
            if at == bytes.len() {
                return Err(Illegal::UnclosedVariable);
            }
            if at == start {
                return Err(Illegal::EmptyVariable);
            }
        } else if is_legal(bytes[at]) {
            length += 1;
        } else {
            return Err(Illegal::Character);
        }
        at += 1;
    }
    Ok(length)
}
