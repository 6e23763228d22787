//! Dead letters: the message as it came, and headers that say where it was, why it failed and how often.

use std::error::Error;
use std::fmt::Write as _;

use crate::error::ConsumeError;
use crate::record::{Headers, RawRecord};
use crate::retry::message as retry;

/// The topic the message was first read from.
pub const TOPIC: &str = "DEAD_LETTER_MESSAGE_TOPIC";
/// The partition it was first read from.
pub const PARTITION: &str = "DEAD_LETTER_MESSAGE_PARTITION";
/// Its offset there.
pub const OFFSET: &str = "DEAD_LETTER_MESSAGE_OFFSET";
/// The error in one line.
pub const SUMMARY: &str = "DEAD_LETTER_MESSAGE_SUMMARY";
/// The error with everything that caused it.
pub const DETAIL: &str = "DEAD_LETTER_MESSAGE_DETAIL";
/// The message's own timestamp, in milliseconds since 1970.
pub const TIMESTAMP: &str = "DEAD_LETTER_MESSAGE_TIMESTAMP";
/// The consumer group in which it failed.
pub const GROUP: &str = "DEAD_LETTER_MESSAGE_GROUP";
/// How many times it was tried.
pub const ATTEMPTS: &str = "DEAD_LETTER_MESSAGE_ATTEMPTS";

const PREFIX: &str = "DEAD_LETTER_MESSAGE_";

/// The longest text of one header, in bytes: a huge error must not make the dead letter itself too large.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;

/// Whether a header is one of ours.
pub(crate) fn is_ours(header: &str) -> bool {
    header.starts_with(PREFIX)
}

/// The headers of a record's dead letter: its own, then ours.
///
/// Ours of an earlier dead letter (a message that was replayed and failed again) are replaced, so that they do not
/// grow with each turn.
pub(crate) fn headers(record: &RawRecord, error: &ConsumeError, group: &str, attempts: u32) -> Headers {
    let origin = record.origin();
    let mut headers = Headers::new();
    for (name, value) in record.headers.iter().filter(|(name, _)| !is_ours(name) && !retry::is_ours(name)) {
        headers.push(name, value.map(<[u8]>::to_vec));
    }
    let mut push = |name: &str, text: String| headers.push(name, Some(cut(text).into_bytes()));
    push(TOPIC, origin.topic.to_string());
    push(PARTITION, origin.partition.to_string());
    push(OFFSET, origin.offset.to_string());
    push(SUMMARY, summary(error.error()));
    push(DETAIL, detail(error));
    if let Some(ms) = record.timestamp_ms {
        push(TIMESTAMP, ms.to_string());
    }
    push(GROUP, group.to_owned());
    push(ATTEMPTS, attempts.to_string());
    headers
}

/// The same headers without the largest, for a broker that refuses the dead letter's size.
pub(crate) fn without_detail(headers: &Headers) -> Headers {
    let mut fewer = Headers::new();
    for (name, value) in headers.iter().filter(|(name, _)| *name != DETAIL) {
        fewer.push(name, value.map(<[u8]>::to_vec));
    }
    fewer
}

/// The error in one line.
pub(crate) fn summary(error: &(dyn Error + 'static)) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn detail(error: &ConsumeError) -> String {
    let mut text = error.to_string();
    let mut source = error.error().source();
    // Bounded: a chain that refers to itself would have no end.
    for _ in 0..64 {
        let Some(cause) = source else { break };
        let _ = write!(text, "\ncaused by: {cause}");
        source = cause.source();
    }
    if let Some(backtrace) = error.backtrace() {
        let _ = write!(text, "\nbacktrace:\n{backtrace}");
    }
    text
}

/// Cuts at [`TEXT_BYTES_MAX`], never inside a character.
pub(crate) fn cut(mut text: String) -> String {
    const MARK: &str = "… (cut)";
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX - MARK.len()));
        text.push_str(MARK);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(headers: Headers) -> RawRecord {
        RawRecord {
            topic: "orders".into(),
            partition: 3,
            offset: 7,
            timestamp_ms: Some(5),
            key: Some(b"k".to_vec()),
            value: None,
            headers,
            ..RawRecord::default()
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the row\n  was refused")]
    struct Refused(#[source] std::num::ParseIntError);

    #[test]
    fn says_where_why_and_how_often() {
        let mut own = Headers::new();
        own.push("trace", Some(b"1".to_vec()));
        own.push("trace", None);
        own.push(ATTEMPTS, Some(b"99".to_vec()));
        let error = ConsumeError::from(Refused("x".parse::<i32>().unwrap_err()));
        let headers = headers(&record(own), &error, "crm", 2);
        let text: Vec<String> = headers
            .iter()
            .map(|(n, v)| format!("{n}={}", v.map_or("null".into(), |v| String::from_utf8_lossy(v).into_owned())))
            // There is one where RUST_BACKTRACE is set.
            .map(|text| text.split("\nbacktrace:").next().unwrap_or_default().to_owned())
            .collect();
        expect_test::expect![[r#"
            trace=1
            trace=null
            DEAD_LETTER_MESSAGE_TOPIC=orders
            DEAD_LETTER_MESSAGE_PARTITION=3
            DEAD_LETTER_MESSAGE_OFFSET=7
            DEAD_LETTER_MESSAGE_SUMMARY=the row was refused
            DEAD_LETTER_MESSAGE_DETAIL=the row
              was refused
            caused by: invalid digit found in string
            DEAD_LETTER_MESSAGE_TIMESTAMP=5
            DEAD_LETTER_MESSAGE_GROUP=crm
            DEAD_LETTER_MESSAGE_ATTEMPTS=2"#]]
        .assert_eq(&text.join("\n"));
        assert_eq!(without_detail(&headers).len(), headers.len() - 1);
    }

    #[test]
    fn a_huge_error_is_cut_between_characters() {
        for pad in 0..4 {
            let text = cut(format!("{}{}", "x".repeat(pad), "ü€😀".repeat(4_000)));
            assert!(text.len() <= TEXT_BYTES_MAX, "{}", text.len());
            assert!(text.ends_with("(cut)"));
        }
        assert_eq!(cut("short".into()), "short");
    }
}
