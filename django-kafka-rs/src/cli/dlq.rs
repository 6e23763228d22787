//! `dlq`: its words, and what it shows. Pure.

use std::fmt::Write as _;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::Exit;
use super::table::align;
use crate::record::{Headers, Origin};

/// What to do with dead letters.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DlqCommand {
    /// List dead letters: which message, when, after how many attempts, and why
    List {
        #[command(flatten)]
        selection: DlqSelection,

        /// Letters at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,

        /// Those that were replayed, too
        #[arg(long)]
        all: bool,

        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },

    /// Show dead letters in full: the error with its causes, headers, key and value
    Show {
        #[command(flatten)]
        selection: DlqSelection,

        /// Letters at most
        #[arg(long, value_name = "N", default_value_t = 5)]
        limit: usize,

        /// Those that were replayed, too
        #[arg(long)]
        all: bool,

        /// As JSON, for programs; keys and values are not cut
        #[arg(long)]
        json: bool,
    },

    /// Handle dead letters again
    #[command(
        long_about = "Handle dead letters again: by the consumer that gave them up, as one more attempt, known by \
                      where they were first read. What fails again is reported and stays as it is. What was handled is \
                      not replayed again: the positions are kept by the broker, as the offsets of the group \
                      {group}.dlq.replay, with what was replayed beyond them; letters that --match and the like leave \
                      out stay to be replayed. Brokers forget offsets that nobody has committed for a week \
                      (offsets.retention.minutes).\n\n\
                      A letter that a newer message of its key has superseded is passed over. A letter may be handled \
                      twice where this program is killed in the middle."
    )]
    Replay {
        #[command(flatten)]
        selection: DlqSelection,

        /// Letters at most; the rest stays to be replayed
        #[arg(long, value_name = "N")]
        limit: Option<usize>,

        /// Only say what would be replayed
        #[arg(long)]
        dry_run: bool,

        /// Replay what a newer message has superseded, too: it may overwrite newer rows
        #[arg(long)]
        force: bool,

        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
}

/// Which dead letters. Without any of these: all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct DlqSelection {
    /// Only these, as `list` names them: TOPIC/PARTITION/OFFSET of the dead letter topic
    #[arg(value_name = "LETTER")]
    pub(crate) letters: Vec<LetterId>,

    /// Only this consumer's, by its type's name
    #[arg(long, value_name = "NAME")]
    pub(crate) consumer: Vec<String>,

    /// Only those of this consumer group
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Vec<String>,

    /// Only those of this topic: the one that was consumed, or the dead letter topic
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Vec<String>,

    /// Only those whose error, or a cause of it, has this text; upper and lower case are the same
    #[arg(long = "match", value_name = "TEXT")]
    pub(crate) matching: Option<String>,

    /// Only those that failed since then: 2026-01-31T12:00:00Z, or how long ago, such as 2h
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,

    /// Only those that failed before then
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,
}

/// A dead letter's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LetterId {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl std::fmt::Display for LetterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for LetterId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let (rest, offset) = text.rsplit_once('/')?;
            let (topic, partition) = rest.rsplit_once('/')?;
            let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
            (!topic.is_empty()).then(|| Self { topic: topic.to_owned(), partition, offset })
        };
        parts().ok_or_else(|| "a letter is named by TOPIC/PARTITION/OFFSET, as `dlq list` does".to_owned())
    }
}

/// A moment, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) i64);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let moment = match humantime::parse_duration(text) {
            Ok(ago) => SystemTime::now().checked_sub(ago).unwrap_or(UNIX_EPOCH),
            Err(_) => humantime::parse_rfc3339_weak(text).map_err(|_| {
                "a time is written as 2026-01-31T12:00:00Z (UTC), or as how long ago it is: 90s, 2h, 3days".to_owned()
            })?,
        };
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Ok(Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl DlqSelection {
    /// Whether a letter's place, time and error are among those that are asked for.
    pub(crate) fn takes(&self, id: &LetterId, failed_ms: Option<i64>, errors: [&str; 2]) -> bool {
        let named = self.letters.is_empty() || self.letters.contains(id);
        // A letter without a time is never left out by it.
        let recent = self.since.is_none_or(|since| failed_ms.is_none_or(|ms| ms >= since.0));
        let old = self.until.is_none_or(|until| failed_ms.is_none_or(|ms| ms < until.0));
        let matching = self.matching.as_ref().is_none_or(|text| {
            let text = text.to_lowercase();
            errors.iter().any(|error| error.to_lowercase().contains(&text))
        });
        named && recent && old && matching
    }
}

/// Which letters are shown, and how much of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Letters at most.
    pub(crate) limit: usize,
    /// Those that were replayed, too.
    pub(crate) all: bool,
    /// With values, headers and details.
    pub(crate) is_full: bool,
}

/// How letters are replayed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Replay {
    /// Letters at most.
    pub(crate) limit: Option<usize>,
    pub(crate) is_dry: bool,
    /// Also what a newer message has superseded.
    pub(crate) is_forced: bool,
}

/// A dead letter as it is shown.
#[derive(Debug, Clone)]
pub(crate) struct LetterRow {
    pub(crate) id: LetterId,
    pub(crate) consumer: String,
    pub(crate) group: String,
    /// Milliseconds since 1970.
    pub(crate) failed_ms: Option<i64>,
    pub(crate) origin: Origin,
    pub(crate) attempts: u32,
    pub(crate) summary: String,
    pub(crate) was_replayed: bool,
    pub(crate) key: Option<Vec<u8>>,
    /// For `show`.
    pub(crate) full: Option<FullLetter>,
}

/// What `show` shows besides.
#[derive(Debug, Clone)]
pub(crate) struct FullLetter {
    pub(crate) detail: String,
    /// The message's own.
    pub(crate) headers: Headers,
    pub(crate) value: Option<Vec<u8>>,
}

/// The letters that were found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Letters {
    pub(crate) rows: Vec<LetterRow>,
    /// Found beyond the limit.
    pub(crate) beyond: u64,
    /// Left out because they were replayed.
    pub(crate) replayed: u64,
}

/// What came of a replay.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReplayReport {
    pub(crate) is_dry: bool,
    pub(crate) replayed: u64,
    pub(crate) superseded: u64,
    pub(crate) skipped: u64,
    pub(crate) failed: u64,
    /// Which would be replayed, or failed again and why: the first of them.
    pub(crate) told: Vec<(LetterId, String)>,
    /// Why it ended before the last letter.
    pub(crate) interrupted: Option<String>,
}

impl ReplayReport {
    /// How many letters are told of at most.
    pub(crate) const TOLD_MAX: usize = 1_000;

    /// Notes a letter to tell of.
    pub(crate) fn tell(&mut self, id: LetterId, why: impl Into<String>) {
        if self.told.len() < Self::TOLD_MAX {
            self.told.push((id, why.into()));
        }
    }

    /// 1 where a letter failed again, or not all were tried.
    pub(crate) fn exit(&self) -> Exit {
        if self.failed > 0 || self.interrupted.is_some() { Exit::Failed } else { Exit::Done }
    }
}

/// The table of `list`.
pub(super) fn list(letters: &Letters) -> String {
    let mut text = String::new();
    if !letters.rows.is_empty() {
        let mut lines = vec![["LETTER", "FAILED", "FIRST READ", "ATTEMPTS", "KEY", "WHY"].map(str::to_owned)];
        lines.extend(letters.rows.iter().map(|row| {
            let why = if row.was_replayed { format!("(replayed) {}", row.summary) } else { row.summary.clone() };
            [
                row.id.to_string(),
                time(row.failed_ms),
                place(&row.origin),
                row.attempts.to_string(),
                row.key.as_deref().map_or_else(|| "-".to_owned(), |key| one_line(key, 40)),
                one_line(why.as_bytes(), 120),
            ]
        }));
        text.push_str(&align(&lines));
    }
    text.push_str(&remarks(letters));
    text
}

/// What `show` shows.
pub(super) fn show(letters: &Letters) -> String {
    let mut text = String::new();
    for row in &letters.rows {
        let _ = writeln!(text, "{}{}", row.id, if row.was_replayed { "  (replayed)" } else { "" });
        let mut lines = vec![
            ["consumer", &format!("{} (group {})", row.consumer, row.group)].map(str::to_owned),
            ["failed", &format!("{}, after {} attempts", time(row.failed_ms), row.attempts)].map(str::to_owned),
            ["first read", &place(&row.origin)].map(str::to_owned),
            ["key", &row.key.as_deref().map_or_else(|| "(none)".to_owned(), |key| one_line(key, 400))]
                .map(str::to_owned),
        ];
        if let Some(full) = &row.full {
            for (name, value) in full.headers.iter() {
                let value = value.map_or_else(|| "(null)".to_owned(), |value| one_line(value, 400));
                lines.push(["header".to_owned(), format!("{name}: {value}")]);
            }
        }
        for line in align(&lines).lines() {
            let _ = writeln!(text, "  {line}");
        }
        if let Some(full) = &row.full {
            block(&mut text, "why", &cut(&full.detail, 4_000));
            let value = full.value.as_deref();
            block(&mut text, "value", &value.map_or_else(|| "(none: a tombstone)".to_owned(), |v| shown(v, 4_000)));
        }
        text.push('\n');
    }
    text.push_str(&remarks(letters));
    text
}

fn block(text: &mut String, title: &str, content: &str) {
    let _ = writeln!(text, "  {title}");
    for line in content.lines() {
        let _ = writeln!(text, "    {line}");
    }
}

fn remarks(letters: &Letters) -> String {
    let mut text = String::new();
    if letters.beyond > 0 {
        let _ = writeln!(
            text,
            "{} more: raise `--limit`, or narrow them down by `--topic`, `--match` or `--since`",
            letters.beyond
        );
    }
    if letters.rows.is_empty() {
        text.push_str("no dead letters\n");
    }
    if letters.replayed > 0 {
        let _ = writeln!(text, "left out: {} that were replayed (`--all` has them too)", letters.replayed);
    }
    text
}

/// The letters for programs.
pub(super) fn letters_json(letters: &Letters) -> String {
    let rows: Vec<Value> = letters.rows.iter().map(letter_json).collect();
    pretty(&json!({ "letters": rows, "beyond_limit": letters.beyond, "replayed": letters.replayed }))
}

fn letter_json(row: &LetterRow) -> Value {
    let mut value = json!({
        "letter": row.id.to_string(),
        "dead_letter_topic": row.id.topic,
        "partition": row.id.partition,
        "offset": row.id.offset,
        "consumer": row.consumer,
        "group": row.group,
        "failed_at": row.failed_ms.and_then(rfc3339),
        "origin": { "topic": &*row.origin.topic, "partition": row.origin.partition, "offset": row.origin.offset },
        "attempts": row.attempts,
        "summary": row.summary,
        "replayed": row.was_replayed,
        "key": bytes_json(row.key.as_deref()),
    });
    if let Some(full) = &row.full {
        let header = |(name, value): (&str, Option<&[u8]>)| json!({ "name": name, "value": bytes_json(value) });
        value["detail"] = json!(full.detail);
        value["headers"] = full.headers.iter().map(header).collect();
        value["value"] = bytes_json(full.value.as_deref());
    }
    value
}

/// Text as text; other bytes as `{"hex": "…"}`.
fn bytes_json(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => Value::Null,
        Some((Ok(text), _)) => json!(text),
        Some((Err(_), bytes)) => json!({ "hex": hex(bytes) }),
    }
}

/// What `replay` says at its end.
pub(super) fn replayed(report: &ReplayReport) -> String {
    let mut text = String::new();
    for (id, why) in &report.told {
        let _ = if report.is_dry {
            writeln!(text, "{id}: {}", one_line(why.as_bytes(), 200))
        } else {
            writeln!(text, "{id} failed again: {}", one_line(why.as_bytes(), 400))
        };
    }
    let told = if report.is_dry { report.replayed } else { report.failed };
    let untold = told.saturating_sub(report.told.len() as u64);
    if untold > 0 {
        let _ = writeln!(text, "… and {untold} more");
    }
    if report.is_dry {
        let _ = writeln!(text, "would replay {}", letters_of(report.replayed));
        return text;
    }
    let _ = write!(text, "replayed {}", letters_of(report.replayed));
    for (count, what) in [
        (report.superseded, "were superseded by newer messages and passed over (`--force` handles them too)"),
        (report.skipped, "were skipped by their handler"),
        (report.failed, "failed again and stay"),
    ] {
        if count > 0 {
            let _ = write!(text, "; {count} {what}");
        }
    }
    text.push('\n');
    if let Some(why) = &report.interrupted {
        let _ = writeln!(text, "ended before the last one: {why}");
    }
    text
}

/// The same for programs.
pub(super) fn replayed_json(report: &ReplayReport) -> String {
    let told: Vec<Value> =
        report.told.iter().map(|(id, why)| json!({ "letter": id.to_string(), "summary": why })).collect();
    if report.is_dry {
        return pretty(&json!({ "dry_run": true, "would_replay": report.replayed, "letters": told }));
    }
    pretty(&json!({
        "replayed": report.replayed,
        "superseded": report.superseded,
        "skipped": report.skipped,
        "failed": report.failed,
        "failures": told,
        "interrupted": report.interrupted,
    }))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("texts and numbers have a form in JSON")
}

fn letters_of(n: u64) -> String {
    format!("{n} dead letter{}", if n == 1 { "" } else { "s" })
}

fn place(origin: &Origin) -> String {
    format!("{}/{}/{}", origin.topic, origin.partition, origin.offset)
}

fn time(ms: Option<i64>) -> String {
    ms.and_then(rfc3339).unwrap_or_else(|| "-".to_owned())
}

fn rfc3339(ms: i64) -> Option<String> {
    Some(chrono::DateTime::from_timestamp_millis(ms)?.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Bytes in one line: nothing in them reaches the terminal but text.
fn one_line(bytes: &[u8], chars_max: usize) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            cut(&line.chars().flat_map(visible).collect::<String>(), chars_max)
        }
        Err(_) => shown(bytes, chars_max),
    }
}

/// Bytes as text with its lines, or as hexadecimal digits where they are none.
fn shown(bytes: &[u8], bytes_max: usize) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            // A message must not move the reader's cursor, or worse.
            let safe: String =
                text.chars().flat_map(|c| if c == '\n' || c == '\t' { vec![c] } else { visible(c) }).collect();
            cut(&safe, bytes_max)
        }
        Err(_) if bytes.len() > bytes_max / 2 => {
            format!("0x{}… ({} bytes)", hex(&bytes[..bytes_max / 2]), bytes.len())
        }
        Err(_) => format!("0x{}", hex(bytes)),
    }
}

fn visible(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    format!("{}… ({} bytes)", &text[..text.floor_char_boundary(bytes_max)], text.len())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
