//! A dead letter as it is read back. Pure.

use std::sync::Arc;

use crate::cli::LetterId;
use crate::dead_letter;
use crate::record::{Headers, Origin, RawRecord, Retried};
use crate::retry::message as retry;

/// A message of a dead letter topic.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) id: LetterId,
    /// When it became a dead letter, in milliseconds since 1970.
    pub(crate) failed_ms: Option<i64>,
    /// Where it was first read. Where the headers do not say: where it is.
    pub(crate) origin: Origin,
    /// Whether the headers say that.
    pub(crate) has_origin: bool,
    /// How often it was tried; 0 where the headers do not say.
    pub(crate) attempts: u32,
    /// The error in one line.
    pub(crate) summary: String,
    /// The error with everything that caused it.
    pub(crate) detail: String,
    /// As it stands in the dead letter topic.
    pub(crate) record: RawRecord,
}

impl Letter {
    /// `topic`: the topic whose dead letters these are.
    pub(super) fn read(topic: &Arc<str>, record: RawRecord) -> Self {
        let text = |header: &str| record.headers.get(header).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let partition = text(dead_letter::PARTITION).and_then(|text| text.parse().ok()).filter(|n: &i32| *n >= 0);
        let offset = text(dead_letter::OFFSET).and_then(|text| text.parse().ok()).filter(|n: &i64| *n >= 0);
        let found = partition.zip(offset);
        let (partition, offset) = found.unwrap_or((record.partition, record.offset));
        Self {
            id: LetterId { topic: record.topic.to_string(), partition: record.partition, offset: record.offset },
            failed_ms: record.timestamp_ms,
            origin: Origin { topic: topic.clone(), partition, offset },
            has_origin: found.is_some(),
            attempts: text(dead_letter::ATTEMPTS).and_then(|text| text.parse().ok()).unwrap_or(0),
            summary: text(dead_letter::SUMMARY).unwrap_or_default(),
            detail: text(dead_letter::DETAIL).unwrap_or_default(),
            record,
        }
    }

    /// The message as a retry: with its own time and headers, known by where it was first read.
    pub(super) fn as_retry(&self) -> RawRecord {
        let mut headers = Headers::new();
        for (name, value) in self.record.headers.iter().filter(|(name, _)| !is_ours(name)) {
            headers.push(name, value.map(<[u8]>::to_vec));
        }
        let own_time = self.record.headers.get(dead_letter::TIMESTAMP).map(String::from_utf8_lossy);
        RawRecord {
            timestamp_ms: own_time.and_then(|text| text.parse().ok()).or(self.record.timestamp_ms),
            headers,
            retried: Some(Arc::new(Retried { origin: self.origin.clone(), attempt: self.attempts })),
            ..self.record.clone()
        }
    }

    /// The headers that came with the message.
    pub(crate) fn own_headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.record.headers.iter().filter(|(name, _)| !is_ours(name))
    }
}

fn is_ours(header: &str) -> bool {
    dead_letter::is_ours(header) || retry::is_ours(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ConsumeError;

    fn failed() -> RawRecord {
        let mut own = Headers::new();
        own.push("trace", Some(b"1".to_vec()));
        let origin = Origin { topic: "orders".into(), partition: 2, offset: 77 };
        RawRecord {
            topic: "crm.orders.retry.3".into(),
            partition: 1,
            offset: 5,
            timestamp_ms: Some(1_000),
            key: Some(b"k".to_vec()),
            headers: own,
            retried: Some(Arc::new(Retried { origin, attempt: 3 })),
            ..RawRecord::default()
        }
    }

    fn stored(headers: Headers) -> RawRecord {
        RawRecord {
            topic: "crm.orders.dlt".into(),
            partition: 0,
            offset: 9,
            timestamp_ms: Some(2_000),
            retried: None,
            headers,
            ..failed()
        }
    }

    #[test]
    fn a_letter_becomes_the_message_that_it_was() {
        let headers = dead_letter::headers(&failed(), &ConsumeError::from("no\nsuch row"), "crm", 4);
        let letter = Letter::read(&"orders".into(), stored(headers));
        assert_eq!(letter.id.to_string(), "crm.orders.dlt/0/9");
        assert_eq!((letter.failed_ms, letter.attempts, letter.has_origin), (Some(2_000), 4, true));
        assert_eq!(letter.summary, "no such row");
        let again = letter.as_retry();
        assert_eq!(again.origin(), failed().origin());
        assert_eq!((again.timestamp_ms, again.retry_number(), again.key), (Some(1_000), 4, Some(b"k".to_vec())));
        assert_eq!(again.headers, failed().headers);
    }

    #[test]
    fn a_letter_made_by_hand_is_known_by_where_it_is() {
        for (partition, offset) in [("", ""), ("-1", "3"), ("0", "x"), ("99999999999", "1")] {
            let mut headers = Headers::new();
            headers.push(dead_letter::PARTITION, Some(partition.as_bytes().to_vec()));
            headers.push(dead_letter::OFFSET, Some(offset.as_bytes().to_vec()));
            let letter = Letter::read(&"orders".into(), stored(headers));
            assert_eq!(letter.origin, Origin { topic: "orders".into(), partition: 0, offset: 9 });
            assert!(!letter.has_origin);
            assert_eq!((letter.as_retry().timestamp_ms, letter.as_retry().retry_number()), (Some(2_000), 0));
        }
    }
}
