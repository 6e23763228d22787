//! Spans of time: a number of seconds, or text such as `"2s"`, `"1h 30m"`.

use quote::ToTokens;

use crate::attr::options::Entry;
use crate::ctx::Ctx;
use crate::diag;

/// Milliseconds in each unit, with the unit's spellings. Those of humantime, which reads the settings file, without
/// what is finer than a millisecond.
const UNITS: &[(u64, &[&str])] = &[
    (1, &["ms", "msec", "millis"]),
    (1_000, &["s", "sec", "secs", "second", "seconds"]),
    (60_000, &["m", "min", "mins", "minute", "minutes"]),
    (3_600_000, &["h", "hr", "hrs", "hour", "hours"]),
    (86_400_000, &["d", "day", "days"]),
];

/// The longest time taken, in milliseconds: 1000 days.
pub(crate) const MS_MAX: u64 = 86_400_000_000;
const TOO_LONG: &str = "is longer than 1000 days";

/// Milliseconds of an option that is a whole number of seconds or text with units.
pub(crate) fn seconds_or_text(ctx: &Ctx, entry: &Entry) -> Option<u64> {
    const EXPECTED: &str = "whole seconds or text such as \"2m\"";
    let literal: SignedLiteral = entry.parse_value(ctx, EXPECTED)?;
    let ms = match &literal.literal {
        syn::Lit::Str(text) if !literal.negative => parse_ms(&text.value()),
        syn::Lit::Int(_) if literal.negative => Err("is negative".into()),
        syn::Lit::Int(seconds) => match seconds.base10_parse::<u64>().ok().and_then(|s| s.checked_mul(1000)) {
            Some(ms) if ms <= MS_MAX => Ok(ms),
            _ => Err(TOO_LONG.into()),
        },
        other => {
            let found = diag::describe(&other.to_token_stream());
            entry.value_error(ctx, diag::expected_found(entry.word(), EXPECTED, found));
            return None;
        }
    };
    report(ctx, entry, ms)
}

/// Milliseconds of an option that is text with units.
pub(crate) fn text(ctx: &Ctx, entry: &Entry) -> Option<u64> {
    let text: syn::LitStr = entry.parse_value(ctx, "text such as \"5ms\"")?;
    report(ctx, entry, parse_ms(&text.value()))
}

fn report(ctx: &Ctx, entry: &Entry, ms: Result<u64, String>) -> Option<u64> {
    ms.map_err(|message| {
        let word = entry.word();
        entry.value_error(
            ctx,
            diag::help(format_args!("`{}` {message}", word.name), format_args!("write `{}`", word.example)),
        );
    })
    .ok()
}

/// A literal, perhaps behind a minus.
struct SignedLiteral {
    negative: bool,
    literal: syn::Lit,
}

impl syn::parse::Parse for SignedLiteral {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        let negative = input.parse::<Option<syn::Token![-]>>()?.is_some();
        Ok(Self { negative, literal: input.parse()? })
    }
}

/// Milliseconds of a text, or what is wrong with it, as a predicate.
fn parse_ms(text: &str) -> Result<u64, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("is empty".into());
    }
    if rest.starts_with('-') {
        return Err("is negative".into());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let letters = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        if number.is_empty() {
            return Err(format!("expects a whole number before `{}`", if unit.is_empty() { rest } else { unit }));
        }
        if unit.is_empty() && !tail.is_empty() {
            return Err(format!("expects whole numbers with a unit, found `{number}{tail}`"));
        }
        let number: u64 = number.parse().map_err(|_| TOO_LONG)?;
        total = total.saturating_add(number.saturating_mul(unit_ms(unit)?));
        rest = tail.trim_start();
    }
    if total > MS_MAX { Err(TOO_LONG.into()) } else { Ok(total) }
}

fn unit_ms(unit: &str) -> Result<u64, String> {
    UNITS
        .iter()
        .find(|(_, names)| names.contains(&unit))
        .map(|(ms, _)| *ms)
        .ok_or_else(|| match unit {
            "" => "has a number without a unit".to_owned(),
            _ => format!("has the unknown unit `{unit}`"),
        })
        .map_err(|what| format!("{what}; the units are `ms`, `s`, `m`, `h` and `d`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_with_units() {
        assert_eq!(parse_ms("2s"), Ok(2_000));
        assert_eq!(parse_ms(" 250 ms "), Ok(250));
        assert_eq!(parse_ms("1h 30m"), Ok(5_400_000));
        assert_eq!(parse_ms("1h30min"), Ok(5_400_000));
        assert_eq!(parse_ms("0s"), Ok(0));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("", "empty"),
            ("-2s", "negative"),
            ("2", "without a unit"),
            ("2x", "unknown unit `x`"),
            ("1.5s", "whole numbers"),
            ("soon", "expects a whole number before `soon`"),
            ("99999999999999999999s", "longer than 1000 days"),
            ("5000d", "longer than 1000 days"),
        ] {
            let error = parse_ms(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
