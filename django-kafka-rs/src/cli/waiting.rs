//! `waiting`: its words, and what it shows. Pure.

use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::{Value, json};

use super::table::align;
use crate::relations::{Awaited, Count, WaitingMessage};

/// What to do with messages that wait for rows.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum WaitingCommand {
    /// List what waits, for which rows, and since when
    List {
        /// Messages at most, or rows that are waited for
        #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,

        /// Only how much waits for each row, and since when
        #[arg(long)]
        by_relation: bool,

        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },

    /// Show messages in full: their place, headers, key and value
    Show {
        /// Their numbers, as `list` has them
        #[arg(value_name = "NUMBER", required = true)]
        numbers: Vec<i64>,

        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },

    /// Handle what waits for rows that are there by now
    #[command(
        long_about = "Handle what waits for rows that are there by now, without waiting for the daemon. With numbers: \
                      these messages and what waits of their keys, also before a retry of theirs is due. What refers to \
                      a row that is still missing goes on waiting."
    )]
    Resolve {
        /// Only these, by their numbers
        #[arg(value_name = "NUMBER")]
        numbers: Vec<i64>,

        /// As JSON, for programs: how many wait no more
        #[arg(long)]
        json: bool,
    },

    /// Forget messages: they are never handled
    Discard {
        /// Their numbers, as `list` has them
        #[arg(value_name = "NUMBER", required = true)]
        numbers: Vec<i64>,

        /// As JSON, for programs: how many there were
        #[arg(long)]
        json: bool,
    },
}

/// What waits, and the time of the answer.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) messages: Vec<WaitingMessage>,
    /// Of all that waits, listed or not.
    pub(crate) counts: Vec<Count>,
    pub(crate) now_ms: i64,
}

const NOTHING: &str = "nothing waits";

/// The table of `waiting list`, and counts by relation.
pub(super) fn list(waiting: &Waiting, limit: i64) -> String {
    if waiting.messages.is_empty() {
        return NOTHING.to_owned();
    }
    let mut rows = vec![["NUMBER", "STATUS", "MESSAGE", "KEY", "WAITS FOR", "AGE", "ATTEMPTS"].map(str::to_owned)];
    rows.extend(waiting.messages.iter().map(|message| {
        let record = &message.record;
        [
            message.id.to_string(),
            message.status.as_str().to_owned(),
            format!("{}/{}/{}", record.topic, record.partition, record.offset),
            record.key.as_deref().map_or_else(|| "-".to_owned(), text),
            waits_for(message.relation.as_ref(), message.deletion),
            age(waiting.now_ms - message.parked_at_ms),
            message.attempts.to_string(),
        ]
    }));
    let mut text = align(&rows);
    if i64::try_from(waiting.messages.len()).is_ok_and(|listed| listed >= limit) {
        let _ = writeln!(text, "no more than {limit} are listed (`--limit`); the counts are of all");
    }
    text.push('\n');
    text.push_str(&counts(waiting));
    text
}

/// The table of `waiting list --by-relation`.
pub(super) fn counts(waiting: &Waiting) -> String {
    if waiting.counts.is_empty() {
        return NOTHING.to_owned();
    }
    let mut rows = vec![["MESSAGES", "OLDEST", "WAIT FOR"].map(str::to_owned)];
    rows.extend(waiting.counts.iter().map(|count| {
        let waits_for = waits_for(count.relation.as_ref(), count.deletion);
        [count.messages.to_string(), age(waiting.now_ms - count.oldest_ms), waits_for]
    }));
    align(&rows)
}

/// The same for programs.
pub(super) fn counts_json(waiting: &Waiting) -> String {
    let one = |count: &Count| {
        json!({
            "relation": count.relation,
            "deletion": count.deletion,
            "messages": count.messages,
            "oldest_ms": count.oldest_ms,
            "oldest_age_seconds": (waiting.now_ms - count.oldest_ms).max(0) / 1000,
        })
    };
    let all: Vec<Value> = waiting.counts.iter().map(one).collect();
    serde_json::to_string_pretty(&all).unwrap_or_default()
}

/// `1 message waits no more`, `2 messages wait no more`.
pub(super) fn sentence(count: usize, one: &str, more: &str) -> String {
    if count == 1 { format!("1 message {one}") } else { format!("{count} messages {more}") }
}

fn waits_for(relation: Option<&Awaited>, deletion: bool) -> String {
    match relation {
        Some(relation) if deletion => format!("rows that refer to {relation} to go"),
        Some(relation) => relation.to_string(),
        None => "to be looked at".to_owned(),
    }
}

fn age(ms: i64) -> String {
    let seconds = std::time::Duration::from_secs(u64::try_from(ms / 1000).unwrap_or(0));
    humantime::format_duration(seconds).to_string()
}

/// Bytes as text, as far as they are; cut.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let cut: String = text.chars().take(40).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

/// Messages in full.
pub(super) fn show(messages: &[WaitingMessage]) -> String {
    let mut shown = String::new();
    for message in messages {
        let record = &message.record;
        let _ = writeln!(
            shown,
            "{}  {}  {}/{}/{}  group {}\n  waits for  {}\n  attempts   {}",
            message.id,
            message.status.as_str(),
            record.topic,
            record.partition,
            record.offset,
            message.group,
            waits_for(message.relation.as_ref(), message.deletion),
            message.attempts
        );
        if let Some(error) = &message.last_error {
            let _ = writeln!(shown, "  failed     {error}");
        }
        let part = |bytes: Option<&[u8]>| bytes.map_or("null".into(), |b| String::from_utf8_lossy(b).into_owned());
        for (name, value) in record.headers.iter() {
            let _ = writeln!(shown, "  header     {name}: {}", part(value));
        }
        let _ = writeln!(shown, "  key        {}", part(record.key.as_deref()));
        let _ = writeln!(shown, "  value      {}\n", part(record.value.as_deref()));
    }
    shown
}

/// For programs.
pub(super) fn as_json(messages: &[WaitingMessage]) -> String {
    let one = |message: &WaitingMessage| {
        let record = &message.record;
        let part = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        json!({
            "number": message.id,
            "group": message.group,
            "topic": &*record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "status": message.status,
            "deletion": message.deletion,
            "relation": message.relation,
            "attempts": message.attempts,
            "last_error": message.last_error,
            "parked_at_ms": message.parked_at_ms,
            "key": part(record.key.as_deref()),
            "value": part(record.value.as_deref()),
            "headers": record.headers.iter().map(|(name, value)| json!([name, part(value)])).collect::<Vec<_>>(),
        })
    };
    let all: Vec<Value> = messages.iter().map(one).collect();
    serde_json::to_string_pretty(&all).unwrap_or_default()
}
