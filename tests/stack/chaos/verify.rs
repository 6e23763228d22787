//! What has to be true once everything is settled, judged by the topics themselves.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::message::{Headers as _, Message as _, OwnedMessage};

use super::load::Kind;
use crate::harness::{Broker, Replica, compare};

/// A place in a topic: partition and offset.
type Place = (i32, i64);

/// Where to look.
pub(super) struct Verifier<'w> {
    pub(super) broker: &'w Broker,
    pub(super) replica: &'w Replica,
    pub(super) prefix: &'w str,
    pub(super) group: &'w str,
}

/// What is no fault by itself, by the round in which the message was produced.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) messages: usize,
    pub(super) poison: usize,
    /// Dead letters beyond the first of their message.
    pub(super) doubled_letters: Vec<u64>,
    /// Effects of a handler beyond the first of their message.
    pub(super) repeated_effects: Vec<u64>,
}

impl Verifier<'_> {
    /// Whether all that was produced is committed as handled, in the topics first, then retry topic by retry topic:
    /// by then nothing can be put into the ones before.
    pub(super) fn settled(&self) -> Result<(), String> {
        let retry_group = format!("{}.retry", self.group);
        for kind in Kind::ALL {
            self.committed_up_to(self.group, &self.topic(kind), None)?;
            for number in 1..=kind.retry_topics() {
                let topic = format!("{}.{}.retry.{number}", self.group, self.topic(kind));
                self.committed_up_to(&retry_group, &topic, None)?;
            }
        }
        Ok(())
    }

    /// The ends of the topics as they are now.
    pub(super) fn ends(&self) -> Result<[Vec<i64>; 3], String> {
        let [a, b, c] = Kind::ALL.map(|kind| self.broker.ends(&self.topic(kind)));
        Ok([a?, b?, c?])
    }

    /// Whether all before these ends is committed as handled, or on its way through retry topics.
    pub(super) fn passed(&self, ends: &[Vec<i64>; 3]) -> Result<(), String> {
        Kind::ALL
            .iter()
            .zip(ends)
            .try_for_each(|(kind, ends)| self.committed_up_to(self.group, &self.topic(*kind), Some(ends)))
    }

    fn committed_up_to(&self, group: &str, topic: &str, ends: Option<&Vec<i64>>) -> Result<(), String> {
        let now;
        let ends = match ends {
            Some(ends) => ends,
            None => {
                now = self.broker.ends(topic)?;
                &now
            }
        };
        if ends.is_empty() {
            return Ok(());
        }
        let committed = self.broker.committed(group, topic, ends.len())?;
        if committed.iter().zip(ends).all(|(committed, end)| committed >= end) {
            return Ok(());
        }
        Err(format!("{group} has committed {committed:?} of {ends:?} of {topic}"))
    }

    /// Everything, of settled topics. `Err`: something was lost, is stale, or is where it does not belong.
    pub(super) fn verify(&self) -> Result<Found, String> {
        let mut found = Found::default();
        for kind in Kind::ALL {
            let log = self.broker.read(&self.topic(kind));
            found.messages += log.len();
            let wrong = |why: String| format!("{}: {why}", kind.name());
            let poison = log.iter().filter(|message| is_poison(kind, message));
            let poison: BTreeMap<Place, &OwnedMessage> = poison.map(|message| (place(message), message)).collect();
            found.poison += poison.len();
            self.letters(kind, &poison, &mut found).map_err(wrong)?;
            match kind {
                Kind::Counted => self.counted(&log, &poison, &mut found),
                Kind::InPlace | Kind::Hopping => self.rows(kind, &log, &poison),
            }
            .map_err(wrong)?;
        }
        Ok(found)
    }

    /// Each poison message is a dead letter, and nothing else is.
    fn letters(&self, kind: Kind, poison: &BTreeMap<Place, &OwnedMessage>, found: &mut Found) -> Result<(), String> {
        let topic = format!("{}.{}.dlt", self.group, self.topic(kind));
        let mut letters = Vec::new();
        if !self.broker.ends(&topic)?.is_empty() {
            letters = self.broker.read(&topic);
            // A topic that the broker made by itself forgets them.
            let retention = self.broker.topic_config(&topic, "retention.ms")?;
            if retention.as_deref() != Some("-1") {
                return Err(format!("dead letters are kept for {retention:?} ms"));
            }
        }
        let mut seen = BTreeSet::new();
        for letter in letters {
            let origin = origin(&letter)?;
            let Some(message) = poison.get(&origin) else {
                return Err(format!("a healthy message at {origin:?} is a dead letter: {}", shown(&letter)));
            };
            if (message.key(), message.payload()) != (letter.key(), letter.payload()) {
                return Err(format!("the dead letter of {origin:?} is another message: {}", shown(&letter)));
            }
            if !seen.insert(origin) {
                found.doubled_letters.push(round_of(message));
            }
        }
        let lost: Vec<_> = poison.iter().filter(|(place, _)| !seen.contains(place)).collect();
        match lost.first() {
            None => Ok(()),
            Some((place, message)) => Err(format!(
                "{} of {} poison messages are no dead letters, the first at {place:?}: {}",
                lost.len(),
                poison.len(),
                shown(message)
            )),
        }
    }

    /// The table is the fold of the log by key, of the messages that succeed.
    fn rows(&self, kind: Kind, log: &[OwnedMessage], poison: &BTreeMap<Place, &OwnedMessage>) -> Result<(), String> {
        let mut rows: BTreeMap<i64, Row> = BTreeMap::new();
        for message in log.iter().filter(|message| !poison.contains_key(&place(message))) {
            let key: serde_json::Value = serde_json::from_slice(message.key().unwrap()).unwrap();
            let id = key["id"].as_i64().unwrap();
            let value = message.payload().map(|value| serde_json::from_slice::<serde_json::Value>(value).unwrap());
            match value.filter(|value| value["__deleted"] != "true") {
                Some(value) => rows.entry(id).or_default().update(&value),
                None => drop(rows.remove(&id)),
            }
        }
        let wanted: Vec<String> = rows.iter().map(|(id, row)| format!("{id}\t{}", row.line())).collect();
        compare(&wanted, &self.replica.rows(kind.name(), &["id", "a", "b", "version"]))
    }

    /// Each message but the poison was handled.
    fn counted(
        &self,
        log: &[OwnedMessage],
        poison: &BTreeMap<Place, &OwnedMessage>,
        found: &mut Found,
    ) -> Result<(), String> {
        let lines = self.replica.rows("counted", &["partition", "position", "times"]);
        let mut times = BTreeMap::new();
        for line in &lines {
            let mut numbers = line.split('\t').map(|number| number.parse::<i64>().unwrap());
            let mut next = || numbers.next().unwrap();
            times.insert((next() as i32, next()), next());
        }
        for message in log {
            let place = place(message);
            match (times.remove(&place), poison.contains_key(&place)) {
                (None, true) => {}
                (None, false) => return Err(format!("{place:?} was never handled: {}", shown(message))),
                (Some(_), true) => return Err(format!("poison was counted at {place:?}: {}", shown(message))),
                (Some(n), false) => (1..n).for_each(|_| found.repeated_effects.push(round_of(message))),
            }
        }
        if times.is_empty() { Ok(()) } else { Err(format!("messages that are not in the log were counted: {times:?}")) }
    }

    fn topic(&self, kind: Kind) -> String {
        format!("{}.{}", self.prefix, kind.name())
    }
}

/// A row as far as the log tells it; texts as PostgreSQL's COPY writes them.
#[derive(Default)]
struct Row {
    columns: BTreeMap<&'static str, String>,
}

impl Row {
    const COLUMNS: [&'static str; 3] = ["a", "b", "version"];

    fn update(&mut self, value: &serde_json::Value) {
        for column in Self::COLUMNS {
            let text = match value.get(column) {
                None => continue,
                Some(serde_json::Value::Null) => "\\N".to_owned(),
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            self.columns.insert(column, text);
        }
    }

    fn line(&self) -> String {
        Self::COLUMNS.map(|column| self.columns.get(column).map_or("\\N", String::as_str)).join("\t")
    }
}

fn place(message: &OwnedMessage) -> Place {
    (message.partition(), message.offset())
}

fn is_poison(kind: Kind, message: &OwnedMessage) -> bool {
    let Some(text) = message.payload().map(String::from_utf8_lossy) else { return false };
    text.starts_with("poison ")
        || (kind != Kind::Counted && (text.contains(r#""a":"poison "#) || text.contains(r#""b":"refused "#)))
}

/// Where a dead letter's message was first read.
fn origin(letter: &OwnedMessage) -> Result<Place, String> {
    let text = |name: &str| {
        let headers = letter.headers()?;
        let found = headers.iter().find(|header| header.key == name)?;
        Some(String::from_utf8_lossy(found.value?).into_owned())
    };
    let partition = text("DEAD_LETTER_MESSAGE_PARTITION").and_then(|text| text.parse().ok());
    let offset = text("DEAD_LETTER_MESSAGE_OFFSET").and_then(|text| text.parse().ok());
    partition.zip(offset).ok_or_else(|| format!("a dead letter without origin: {}", shown(letter)))
}

fn round_of(message: &OwnedMessage) -> u64 {
    let text = message.payload().map(String::from_utf8_lossy).unwrap_or_default();
    let after = text.split_once("of round ").map(|(_, after)| after).unwrap_or_default();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn shown(message: &OwnedMessage) -> String {
    let text = |bytes: Option<&[u8]>| bytes.map_or("null".into(), |b| String::from_utf8_lossy(b).into_owned());
    format!("{} = {}", text(message.key()), text(message.payload()))
}
