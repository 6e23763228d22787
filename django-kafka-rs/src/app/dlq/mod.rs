//! `dlq`: dead letters, read back and handled again. All block.

mod letter;
mod reader;
mod replay;
mod replayed;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::letter::Letter;
use self::reader::Reader;
use self::replayed::Replayed;
use super::client_config::consumer_config;
use super::{Parts, Services, StartError, reach_broker};
use crate::cli::{DlqSelection, FullLetter, LetterRow, Letters, Look};
use crate::record::Headers;
use crate::registry::ResolvedConsumer;
use crate::topic::names::{dead_letter_pattern, topic_of_dead_letters};

pub(crate) use self::replay::replay;

/// The dead letters of one topic of one consumer.
struct Source {
    /// Its index among the consumers.
    consumer: usize,
    /// The topic that was consumed.
    topic: Arc<str>,
    dead_letter_topic: String,
    partitions: Vec<i32>,
}

/// What is open while dead letters are read.
struct Office {
    services: Services,
    consumers: Vec<ResolvedConsumer>,
    /// Each consumer's own: its account, and the group that says what was replayed.
    readers: Vec<Reader>,
    sources: Vec<Source>,
}

/// Reads the dead letters that are asked for.
pub(crate) fn letters(parts: &mut Parts, selection: &DlqSelection, look: Look) -> Result<Letters, StartError> {
    let office = Office::open(parts, selection)?;
    let mut found = Letters::default();
    for source in &office.sources {
        let consumer = &office.consumers[source.consumer];
        office.each(source, &mut |letter, was_replayed| {
            if !selection.takes(&letter.id, letter.failed_ms, [&letter.summary, &letter.detail]) {
                return;
            }
            if was_replayed && !look.all {
                found.replayed += 1;
            } else if found.rows.len() >= look.limit {
                found.beyond += 1;
            } else {
                found.rows.push(row(letter, consumer, was_replayed, look.is_full));
            }
        })?;
    }
    Ok(found)
}

fn row(letter: Letter, consumer: &ResolvedConsumer, was_replayed: bool, is_full: bool) -> LetterRow {
    let mut headers = Headers::new();
    for (name, value) in letter.own_headers() {
        headers.push(name, value.map(<[u8]>::to_vec));
    }
    let Letter { id, failed_ms, origin, attempts, summary, detail, record, .. } = letter;
    LetterRow {
        id,
        consumer: consumer.declaration.type_name.to_owned(),
        group: consumer.group.clone(),
        failed_ms,
        origin,
        attempts,
        summary,
        was_replayed,
        key: record.key,
        full: is_full.then_some(FullLetter { detail, headers, value: record.value }),
    }
}

impl Office {
    /// Finds the dead letter topics that are asked for.
    fn open(parts: &mut Parts, selection: &DlqSelection) -> Result<Self, StartError> {
        if parts.settings.embedded.enabled {
            return Err(StartError::WrongUse(
                "the embedded broker begins empty with each program, so it has no dead letters of earlier ones: name a \
                 real broker (`bootstrap.servers`), and leave `--embedded` out"
                    .to_owned(),
            ));
        }
        let mut consumers = parts.resolve(&[])?;
        consumers.retain(|consumer| !consumer.is_tracker());
        check_known(selection, &consumers)?;
        consumers.retain(|consumer| is_selected(selection, consumer));
        let services = Services::start(std::mem::take(&mut parts.settings))?;
        reach_broker(&services.asking_config()?).map_err(StartError::Broker)?;
        let mut readers = Vec::with_capacity(consumers.len());
        for consumer in &consumers {
            let config = consumer_config(consumer, false, false, &services.settings, false)?;
            let group = format!("{}.dlq.replay", consumer.group);
            readers.push(Reader::new(config, group).map_err(StartError::Broker)?);
        }
        let mut office = Self { services, consumers, readers, sources: Vec::new() };
        office.find_sources(selection)?;
        Ok(office)
    }

    fn find_sources(&mut self, selection: &DlqSelection) -> Result<(), StartError> {
        let suffix = &self.services.settings.dead_letter_topic_suffix;
        let Some(reader) = self.readers.first() else { return Ok(()) };
        let there = reader.topics().map_err(StartError::Broker)?;
        for (index, consumer) in self.consumers.iter().enumerate() {
            let patterns =
                consumer.topics.iter().map(|topic| dead_letter_pattern(&consumer.group, &topic.name, suffix));
            // A pattern that start-up has let through compiles inside a longer one, too.
            let patterns = regex::RegexSet::new(patterns).map_err(|e| StartError::Declarations(vec![e.to_string()]))?;
            for (name, partitions) in there.iter().filter(|(name, _)| patterns.is_match(name)) {
                let Some(topic) = topic_of_dead_letters(name, &consumer.group, suffix) else { continue };
                let asked = selection.topic.is_empty() || selection.topic.iter().any(|t| t == topic || t == name);
                let named =
                    selection.letters.is_empty() || selection.letters.iter().any(|letter| letter.topic == *name);
                let known = self.sources.iter().any(|source| source.dead_letter_topic == *name);
                if asked && named && !known {
                    self.sources.push(Source {
                        consumer: index,
                        topic: topic.into(),
                        dead_letter_topic: name.clone(),
                        partitions: partitions.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Hands over each letter, and whether it was replayed.
    fn each(&self, source: &Source, take: &mut dyn FnMut(Letter, bool)) -> Result<(), StartError> {
        let reader = &self.readers[source.consumer];
        let replayed = reader.replayed(&source.dead_letter_topic, &source.partitions).unwrap_or_else(|why| {
            tracing::warn!("{why}; all letters are taken for not replayed");
            BTreeMap::new()
        });
        let none = Replayed::default();
        for partition in &source.partitions {
            let read = || {
                let (low, end) = reader.ends(&source.dead_letter_topic, *partition)?;
                let replayed = replayed.get(partition).unwrap_or(&none);
                let mut reading = reader.partition(&source.dead_letter_topic, *partition, low, end)?;
                while let Some(record) = reading.next()? {
                    let was_replayed = replayed.contains(record.offset);
                    take(Letter::read(&source.topic, record), was_replayed);
                }
                Ok(())
            };
            let mut read = read;
            read().map_err(StartError::Broker)?;
        }
        Ok(())
    }
}

fn is_selected(selection: &DlqSelection, consumer: &ResolvedConsumer) -> bool {
    let by_name =
        selection.consumer.is_empty() || selection.consumer.iter().any(|name| name == consumer.declaration.type_name);
    let by_group = selection.group.is_empty() || selection.group.contains(&consumer.group);
    by_name && by_group
}

/// A name that is none of this program's is a mistake, not an empty list.
fn check_known(selection: &DlqSelection, consumers: &[ResolvedConsumer]) -> Result<(), StartError> {
    let names: Vec<&str> = consumers.iter().map(|consumer| consumer.declaration.type_name).collect();
    let groups: Vec<&str> = consumers.iter().map(|consumer| consumer.group.as_str()).collect();
    for (what, asked, known) in [("consumer", &selection.consumer, names), ("consumer group", &selection.group, groups)]
    {
        if let Some(unknown) = asked.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(StartError::UnknownConsumer(format!(
                "there is no {what} `{unknown}`; there are: {}",
                known.join(", ")
            )));
        }
    }
    Ok(())
}
