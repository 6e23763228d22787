//! A message that waits, as it is stored.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::{Headers, Origin, RawRecord, Retried};

/// A row that messages wait for: a model's table, one of its fields, and the value that identifies the row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Awaited {
    /// The model's table: `customers`, or `sales.customers`.
    pub model_key: String,
    /// The model's field.
    pub field: String,
    /// The value as text.
    pub value: String,
}

impl std::fmt::Display for Awaited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{} = {}", self.model_key, self.field, self.value)
    }
}

/// How a waiting message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WaitingStatus {
    /// It waits for a row, and is the first of its key.
    Waiting,
    /// An earlier message of its key waits.
    Behind,
    /// A daemon has it in hand.
    Resolving,
}

impl WaitingStatus {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Behind => "BEHIND",
            Self::Resolving => "RESOLVING",
        }
    }

    pub(crate) fn of(text: &str) -> Self {
        match text {
            "BEHIND" => Self::Behind,
            "RESOLVING" => Self::Resolving,
            _ => Self::Waiting,
        }
    }
}

/// A message that waits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WaitingMessage {
    /// Its number in the store.
    pub id: i64,
    /// The consumer's group.
    pub group: String,
    /// The message, with the topic, partition and offset where it was first read.
    pub record: Arc<RawRecord>,
    /// How it stands.
    pub status: WaitingStatus,
    /// It deletes a row, and waits for the rows to go that refer to it.
    pub deletion: bool,
    /// What its chain waits for; `None`: that is to be looked at.
    pub relation: Option<Awaited>,
    /// How often it failed: in retry topics before it was parked, and since.
    pub attempts: u32,
    /// Why it failed last.
    pub last_error: Option<String>,
    /// When it was parked; milliseconds since 1970.
    pub parked_at_ms: i64,
}

/// A message's key in its topic: what messages are kept in order by. Without a key each message is its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Chain {
    /// The topic of the first reading.
    pub topic: Arc<str>,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The key's hash; of a message without key, that of its place.
    pub hash: i64,
}

impl Chain {
    pub(crate) fn of(record: &RawRecord) -> Self {
        let origin = record.origin();
        let hash = match &record.key {
            Some(key) => fnv(key),
            None => fnv(format!("{}/{}", origin.partition, origin.offset).as_bytes()),
        };
        Self { topic: origin.topic, key: record.key.clone(), hash }
    }
}

/// FNV-1a: stable from build to build, as what is stored has to be.
#[expect(clippy::cast_possible_wrap, reason = "a hash is no number")]
fn fnv(bytes: &[u8]) -> i64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash as i64
}

/// A message to be parked.
#[derive(Debug, Clone)]
pub struct Parking {
    /// The message.
    pub record: Arc<RawRecord>,
    /// Its chain.
    pub chain: Chain,
    /// The first of its chain, or behind it.
    pub status: WaitingStatus,
    /// It deletes a row.
    pub deletion: bool,
    /// It says the whole row, so that nothing of its chain before it matters.
    pub full_row: bool,
    /// What it waits for; `None`: that is to be looked at.
    pub relation: Option<Awaited>,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(text.get(i * 2..i * 2 + 2)?, 16).ok()).collect()
}

/// Headers as they are stored: names and hexadecimal values in JSON.
pub(crate) fn headers_text(headers: &Headers) -> String {
    let list: Vec<(&str, Option<String>)> = headers.iter().map(|(name, value)| (name, value.map(hex))).collect();
    serde_json::to_string(&list).unwrap_or_else(|_| "[]".to_owned())
}

pub(crate) fn headers_of(text: &str) -> Headers {
    let list: Vec<(String, Option<String>)> = serde_json::from_str(text).unwrap_or_default();
    let mut headers = Headers::new();
    for (name, value) in list {
        headers.push(name, value.as_deref().and_then(unhex));
    }
    headers
}

/// What a stored message says of where it was first read, so that its attempts go on being counted.
pub(crate) fn retried(topic: &Arc<str>, partition: i32, offset: i64, attempts: u32) -> Option<Arc<Retried>> {
    let origin = Origin { topic: topic.clone(), partition, offset };
    (attempts > 0).then(|| Arc::new(Retried { origin, attempt: attempts }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_as_they_were() {
        let mut headers = Headers::new();
        headers.push("a", Some(vec![0, 255, 16]));
        headers.push("a", None);
        headers.push("ü", Some(Vec::new()));
        assert_eq!(headers_of(&headers_text(&headers)), headers);
    }

    #[test]
    fn messages_without_a_key_are_chains_of_their_own() {
        let at = |offset, key: Option<&[u8]>| {
            Chain::of(&RawRecord { offset, key: key.map(<[u8]>::to_vec), ..RawRecord::default() })
        };
        assert_ne!(at(1, None), at(2, None));
        assert_eq!(at(1, Some(b"k")), at(2, Some(b"k")));
        assert_eq!(fnv(b"a"), -5_808_556_873_153_909_620);
    }
}
