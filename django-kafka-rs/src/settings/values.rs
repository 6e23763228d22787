//! From a raw value to a typed one. An error is what was expected; what was found, the caller adds.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::document::{Node, Raw};
use super::error::Source;

/// The longest time that settings take: 1000 days, as in `retry(…)`.
pub(super) const DURATION_MAX: Duration = Duration::from_hours(1000 * 24);

/// What a value should have been.
pub(super) type Expected = String;

pub(super) fn text(node: &Node) -> Result<String, Expected> {
    match &node.raw {
        Raw::Text(text) if !text.trim().is_empty() => Ok(text.clone()),
        _ => Err("text".to_owned()),
    }
}

/// Text that may be empty; numbers and booleans are taken as written.
pub(super) fn scalar(node: &Node) -> Result<String, Expected> {
    match &node.raw {
        Raw::Text(text) => Ok(text.clone()),
        Raw::Integer(n) => Ok(n.to_string()),
        Raw::Float(x) => Ok(x.to_string()),
        Raw::Flag(flag) => Ok(flag.to_string()),
        Raw::Datetime(_) | Raw::List(_) | Raw::Table(_) => Err("text".to_owned()),
    }
}

pub(super) fn flag(node: &Node) -> Result<bool, Expected> {
    match (&node.raw, from_environment(node)) {
        (Raw::Flag(flag), _) => Ok(*flag),
        (_, Some("true" | "1" | "yes" | "on")) => Ok(true),
        (_, Some("false" | "0" | "no" | "off")) => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

pub(super) fn integer<T>(node: &Node, range: RangeInclusive<T>) -> Result<T, Expected>
where
    T: TryFrom<i64> + PartialOrd + Copy + Display,
{
    let found = match (&node.raw, from_environment(node)) {
        (Raw::Integer(n), _) => Some(*n),
        (_, Some(text)) => text.parse().ok(),
        _ => None,
    };
    found
        .and_then(|n| T::try_from(n).ok())
        .filter(|n| range.contains(n))
        .ok_or_else(|| format!("an integer from {} to {}", range.start(), range.end()))
}

/// Seconds as a number, or text like `"500ms"`.
pub(super) fn duration(node: &Node) -> Result<Duration, Expected> {
    let found = match &node.raw {
        Raw::Integer(n) => u64::try_from(*n).ok().map(Duration::from_secs),
        Raw::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
        Raw::Text(text) => {
            let text = text.trim();
            let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            seconds.or_else(|| humantime::parse_duration(text).ok())
        }
        _ => None,
    };
    found
        .filter(|duration| *duration <= DURATION_MAX)
        .ok_or_else(|| "a time: seconds, or text like \"500ms\" or \"2m\"".to_owned())
}

/// A duration above zero.
pub(super) fn positive_duration(node: &Node) -> Result<Duration, Expected> {
    duration(node)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "a time above 0: seconds, or text like \"500ms\" or \"2m\"".to_owned())
}

/// Bytes as an integer, or text like `"16MiB"`. At least 1.
pub(super) fn bytes(node: &Node) -> Result<u64, Expected> {
    let found = match &node.raw {
        Raw::Integer(n) => u64::try_from(*n).ok(),
        Raw::Text(text) => bytes_of_text(text.trim()),
        _ => None,
    };
    found
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "a size above 0: bytes, or text like \"64KiB\" or \"16MiB\"".to_owned())
}

fn bytes_of_text(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// One of these words.
pub(super) fn one_of<T: Copy>(node: &Node, words: &[(&str, T)]) -> Result<T, Expected> {
    let found = match &node.raw {
        Raw::Text(text) => words.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)),
        _ => None,
    };
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("one of {}", words.join(", "))
    })
}

/// The environment knows only text: there it may stand for a number or a boolean.
fn from_environment(node: &Node) -> Option<&str> {
    match (&node.source, &node.raw) {
        (Source::Environment(_), Raw::Text(text)) => Some(text.trim()),
        _ => None,
    }
}

/// A duration as the settings write it, to be read again.
pub(super) fn show_duration(duration: Duration) -> String {
    if duration.is_zero() { "0".to_owned() } else { humantime::format_duration(duration).to_string() }
}

/// A size as the settings write it.
pub(super) fn show_bytes(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.iter().find(|(shift, _)| bytes >= 1 << shift && bytes.trailing_zeros() >= *shift);
    whole.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}
