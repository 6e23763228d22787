//! Messages in retry topics: what is written in them, and how they are read back. Pure.
//!
//! Key and value bytes are untouched, the message's own headers are carried over. Ours say why, when to try again,
//! and where the message was first read; they are replaced at each hop, so they do not grow.

use std::sync::Arc;

use crate::dead_letter;
use crate::error::ConsumeError;
use crate::record::{Headers, Origin, RawRecord, Retried};
use crate::topic::names::{DerivedNames, original_of};

/// The error's text.
pub(crate) const MESSAGE: &str = "RETRY_MESSAGE";
/// When to try again: seconds since 1970, as a decimal number.
pub(crate) const TIMESTAMP: &str = "RETRY_TIMESTAMP";
/// The partition that the message was first read from.
pub(crate) const ORIGIN_PARTITION: &str = "RETRY_ORIGIN_PARTITION";
/// Its offset there.
pub(crate) const ORIGIN_OFFSET: &str = "RETRY_ORIGIN_OFFSET";
/// Its own timestamp, in milliseconds since 1970.
pub(crate) const ORIGIN_TIMESTAMP: &str = "RETRY_ORIGIN_TIMESTAMP";

const OURS: &[&str] = &[MESSAGE, TIMESTAMP, ORIGIN_PARTITION, ORIGIN_OFFSET, ORIGIN_TIMESTAMP];

/// The longest delay that settings can ask for, and more than any that we write: a longer wait would hold the messages
/// behind it for a mistake.
const WAIT_MS_MAX: i64 = 1_000 * 24 * 60 * 60 * 1_000;

/// Whether a header is one of ours.
pub(crate) fn is_ours(header: &str) -> bool {
    OURS.contains(&header)
}

/// The headers of a message on its way to a retry topic, to be tried again at `due_ms` since 1970.
pub(crate) fn headers(record: &RawRecord, error: &ConsumeError, due_ms: i64) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in record.headers.iter().filter(|(name, _)| !is_ours(name)) {
        headers.push(name, value.map(<[u8]>::to_vec));
    }
    let origin = record.origin();
    let mut push = |name: &str, text: String| headers.push(name, Some(dead_letter::cut(text).into_bytes()));
    push(MESSAGE, dead_letter::summary(error.error()));
    push(TIMESTAMP, seconds(due_ms));
    push(ORIGIN_PARTITION, origin.partition.to_string());
    push(ORIGIN_OFFSET, origin.offset.to_string());
    if let Some(ms) = record.timestamp_ms {
        push(ORIGIN_TIMESTAMP, ms.to_string());
    }
    headers
}

/// A message as it stood in a retry topic, read back.
#[derive(Debug)]
pub(crate) struct FromRetryTopic {
    pub(crate) record: RawRecord,
    /// When to try it, in milliseconds since 1970. `None`: at once.
    pub(crate) due_ms: Option<i64>,
    /// What was not as we write it.
    pub(crate) warnings: Vec<String>,
}

/// Reads a message of a retry topic. `Err`: the topic is none of this group's retry topics.
///
/// A message that is not as we write it (of another version of ours, or made by hand) is tried at once, with a
/// warning: where it was first read is then taken to be where it is.
///
/// `now_ms`: a time that is too far from it is a mistake.
pub(crate) fn read(
    mut record: RawRecord,
    names: &DerivedNames<'_>,
    now_ms: i64,
) -> Result<FromRetryTopic, Box<RawRecord>> {
    let topic = record.topic.clone();
    let Some(name) = original_of(&topic, names.group, names.suffixes.retry) else { return Err(Box::new(record)) };
    let mut warnings = Vec::new();
    let text = |header: &str| record.headers.get(header).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let mut number = |header: &str, max: i64| -> Option<i64> {
        let found = text(header);
        let parsed = found.as_deref().and_then(|found| found.parse().ok()).filter(|n| (0..=max).contains(n));
        if parsed.is_none() {
            warnings.push(format!(
                "header {header}: expected a number from 0, found {}; it is taken to be first read where it is",
                shown(found.as_deref())
            ));
        }
        parsed
    };
    let partition = number(ORIGIN_PARTITION, i64::from(i32::MAX)).and_then(|partition| i32::try_from(partition).ok());
    let origin = partition.zip(number(ORIGIN_OFFSET, i64::MAX - 1));
    let due = text(TIMESTAMP);
    let due_ms = due.as_deref().and_then(milliseconds);
    if due_ms.is_none() {
        let found = shown(due.as_deref());
        warnings.push(format!("header {TIMESTAMP}: expected seconds since 1970, found {found}; it is tried at once"));
    }
    let due_ms = due_ms.filter(|due_ms| {
        let is_sane = due_ms.saturating_sub(now_ms) <= WAIT_MS_MAX;
        if !is_sane {
            let found = shown(due.as_deref());
            warnings.push(format!("header {TIMESTAMP}: {found} is more than 1000 days from now; it is tried at once"));
        }
        is_sane
    });
    let timestamp_ms = text(ORIGIN_TIMESTAMP).and_then(|text| text.parse().ok());
    let retried = Retried {
        origin: match origin {
            Some((partition, offset)) => Origin { topic: name.topic.into(), partition, offset },
            None => Origin { topic: name.topic.into(), partition: record.partition, offset: record.offset },
        },
        attempt: name.number,
    };
    record.timestamp_ms = timestamp_ms.or(record.timestamp_ms);
    record.retried = Some(Arc::new(retried));
    Ok(FromRetryTopic { record, due_ms, warnings })
}

fn shown(found: Option<&str>) -> String {
    found.map_or_else(|| "none".to_owned(), |text| format!("{:?}", text.chars().take(40).collect::<String>()))
}

/// `1700000000.250`
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000))
}

fn milliseconds(seconds: &str) -> Option<i64> {
    let seconds: f64 = seconds.parse().ok()?;
    // Later than the year 9999 is no time.
    (0.0..253_402_300_800.0).contains(&seconds).then_some((seconds * 1_000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topic::names::Suffixes;

    const NAMES: DerivedNames<'_> =
        DerivedNames { group: "crm", topic: "", suffixes: Suffixes { retry: "retry", dead_letter: "dlt" } };

    const NOW_MS: i64 = 1_700_000_000_000;

    fn record(topic: &str, headers: Headers) -> RawRecord {
        RawRecord {
            topic: topic.into(),
            partition: 1,
            offset: 9,
            timestamp_ms: Some(50),
            headers,
            ..RawRecord::default()
        }
    }

    #[test]
    fn carries_origin_time_and_own_headers_over_every_hop() {
        let mut own = Headers::new();
        own.push("trace", Some(b"x".to_vec()));
        own.push("trace", None);
        let first = RawRecord { partition: 3, offset: 7, ..record("orders", own.clone()) };
        let mut hop = headers(&first, &"no".into(), 1_700_000_000_250);
        for n in 1..=3 {
            let stored = record(&format!("crm.orders.retry.{n}"), hop);
            let read = read(stored, &NAMES, NOW_MS).unwrap();
            assert_eq!(read.due_ms, Some(1_700_000_000_250));
            assert!(read.warnings.is_empty(), "{:?}", read.warnings);
            assert_eq!(read.record.origin(), Origin { topic: "orders".into(), partition: 3, offset: 7 });
            assert_eq!(read.record.timestamp_ms, Some(50));
            assert_eq!(read.record.retried.as_ref().map(|r| r.attempt), Some(n));
            hop = headers(&read.record, &"no".into(), 1_700_000_000_250);
            assert_eq!(hop.len(), own.len() + OURS.len(), "headers do not grow");
        }
    }

    #[test]
    fn a_message_made_by_hand_is_tried_at_once_with_a_warning() {
        let mut own = Headers::new();
        own.push(TIMESTAMP, Some(b"tomorrow".to_vec()));
        let read = read(record("crm.orders.retry.2", own), &NAMES, NOW_MS).unwrap();
        assert_eq!(read.due_ms, None);
        assert_eq!(read.record.origin(), Origin { topic: "orders".into(), partition: 1, offset: 9 });
        expect_test::expect![[r#"
            header RETRY_ORIGIN_PARTITION: expected a number from 0, found none; it is taken to be first read where it is
            header RETRY_ORIGIN_OFFSET: expected a number from 0, found none; it is taken to be first read where it is
            header RETRY_TIMESTAMP: expected seconds since 1970, found "tomorrow"; it is tried at once"#]]
        .assert_eq(&read.warnings.join("\n"));
    }

    #[test]
    fn headers_that_cannot_be_ours_are_not_believed() {
        let with = |header: &str, text: &str| {
            let mut headers = headers(
                &RawRecord { partition: 3, offset: 7, ..record("orders", Headers::new()) },
                &"no".into(),
                NOW_MS,
            );
            // The last one of a name counts.
            headers.push(header, Some(text.as_bytes().to_vec()));
            let read = read(record("crm.orders.retry.1", headers), &NAMES, NOW_MS).unwrap();
            (read.record.origin().partition, read.record.origin().offset, read.due_ms, read.warnings.len())
        };
        let own = (3, 7, Some(NOW_MS), 0);
        assert_eq!(with("other", "x"), own);
        let where_it_is = (1, 9, Some(NOW_MS), 1);
        for text in ["-1", "2147483648", "1.5", "", "9223372036854775808"] {
            assert_eq!(with(ORIGIN_PARTITION, text), where_it_is, "partition {text}");
        }
        for text in ["-1", "9223372036854775807", "0x10", " 1"] {
            assert_eq!(with(ORIGIN_OFFSET, text), where_it_is, "offset {text}");
        }
        // Milliseconds where seconds belong, a time in three years, before 1970, and no numbers.
        for text in ["1700000000000", "1800000000", "-5", "NaN", "inf", "1e300", "soon"] {
            assert_eq!(with(TIMESTAMP, text), (3, 7, None, 1), "timestamp {text}");
        }
        assert_eq!(with(TIMESTAMP, "1700003600"), (3, 7, Some(NOW_MS + 3_600_000), 0));
    }

    #[test]
    fn other_topics_are_none_of_its_business() {
        for topic in ["orders", "crm.orders.retry.x", "other.orders.retry.1", "crm.orders.dlt"] {
            assert!(read(record(topic, Headers::new()), &NAMES, NOW_MS).is_err(), "{topic}");
        }
    }

    proptest! {
        #[test]
        fn any_headers_are_read_without_a_panic(texts in proptest::collection::vec((0..OURS.len(), ".{0,40}"), 0..8)) {
            let mut own = Headers::new();
            for (header, text) in texts {
                own.push(OURS[header], Some(text.into_bytes()));
            }
            prop_assert!(read(record("crm.orders.retry.1", own), &NAMES, NOW_MS).is_ok());
        }

        #[test]
        fn times_are_read_back(ms in 0_i64..253_402_300_799_000) {
            prop_assert_eq!(milliseconds(&seconds(ms)), Some(ms));
        }
    }
}
