//! `dlq replay`: letters, handled again in the order in which their messages were first read.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::letter::Letter;
use super::{Office, Source};
use crate::app::{Making, Parts, StartError};
use crate::cli::progress::ProgressView;
use crate::cli::{DlqSelection, LetterId, Replay, ReplayReport};
use crate::clock::Clock;
use crate::consumer::batch::BatchEnvironment;
use crate::consumer::lane::Stop;
use crate::consumer::replay::{Replayed as Outcome, replay as handle_again};
use crate::consumer::topic::{TopicRuntime, TopicTable};
use crate::context::Context;
use crate::meters::Meters;
use crate::topic_admin::TopicAdmin;

/// Replays the letters that are asked for.
pub(crate) fn replay(
    parts: &mut Parts,
    selection: &DlqSelection,
    how: Replay,
    shows_progress: bool,
) -> Result<ReplayReport, StartError> {
    let office = Office::open(parts, selection)?;
    let database = office.services.open_database()?;
    let clock = Clock::new();
    let kafka = office.services.kafka(None, &Meters::default())?;
    let tables = if how.is_dry {
        Vec::new()
    } else {
        // What fails again is reported: no retries, and no further dead letter.
        let adjust: fn(TopicRuntime) -> TopicRuntime = if how.is_forced {
            |topic| TopicRuntime { retry: None, tracker: None, ..topic }
        } else {
            |topic| TopicRuntime { retry: None, ..topic }
        };
        let relations = database.as_ref().map(|database| parts.relations(database)).transpose()?;
        let making = Making {
            services: &office.services,
            database: database.as_ref(),
            schemas: kafka.schema_registry(),
            relations,
            clock: &clock,
        };
        parts.topic_tables(&office.consumers, &making, adjust)?
    };
    let context = Context::new(kafka, database, parts.take_states());
    let mut run = Run {
        office: &office,
        selection,
        how,
        tables,
        context,
        clock,
        report: ReplayReport { is_dry: how.is_dry, ..ReplayReport::default() },
        tried: 0,
        read: 0,
        total: 0,
        view: (shows_progress && !how.is_dry).then(ProgressView::new),
        started: Instant::now(),
    };
    let ended = office.sources.iter().try_for_each(|source| run.source(source));
    if let Some(view) = run.view.take() {
        view.finish();
    }
    let mut report = run.report;
    match ended {
        Ok(()) | Err(End::Limit) => {}
        Err(End::Interrupted(why)) => report.interrupted = Some(why),
    }
    Ok(report)
}

/// Why no more letters are tried.
enum End {
    /// As many were tried as were asked for.
    Limit,
    Interrupted(String),
}

impl From<String> for End {
    fn from(why: String) -> Self {
        Self::Interrupted(why)
    }
}

struct Run<'a> {
    office: &'a Office,
    selection: &'a DlqSelection,
    how: Replay,
    /// Each consumer's topics; none in a dry run.
    tables: Vec<TopicTable>,
    context: Context,
    clock: Clock,
    report: ReplayReport,
    tried: usize,
    /// Letters that were read, of about so many.
    read: u64,
    total: u64,
    view: Option<ProgressView>,
    started: Instant,
}

impl Run<'_> {
    fn source(&mut self, source: &Source) -> Result<(), End> {
        let reader = &self.office.readers[source.consumer];
        let replayed = reader.replayed(&source.dead_letter_topic, &source.partitions)?;
        for partition in &source.partitions {
            let replayed = replayed.get(partition).cloned().unwrap_or_default();
            self.partition(source, *partition, replayed)?;
        }
        Ok(())
    }

    fn partition(&mut self, source: &Source, partition: i32, mut replayed: super::Replayed) -> Result<(), End> {
        let batch = &self.office.services.settings.batch;
        let (messages_max, bytes_max) = (batch.max as usize, usize::try_from(batch.bytes).unwrap_or(usize::MAX));
        let reader = &self.office.readers[source.consumer];
        let (low, end) = reader.ends(&source.dead_letter_topic, partition)?;
        replayed.begin_at(low);
        self.total += u64::try_from(end - replayed.position()).unwrap_or(0);
        let mut expected = replayed.position();
        let mut reading = reader.partition(&source.dead_letter_topic, partition, expected, end)?;
        loop {
            let chunk = reading.chunk(messages_max, bytes_max)?;
            if chunk.is_empty() {
                return Ok(());
            }
            self.read += chunk.len() as u64;
            let mut letters = Vec::new();
            for record in chunk {
                // Offsets without a letter: nothing is left of them to replay.
                replayed.insert_run(expected, record.offset);
                expected = record.offset + 1;
                if replayed.contains(record.offset) {
                    continue;
                }
                let letter = Letter::read(&source.topic, record);
                if self.selection.takes(&letter.id, letter.failed_ms, [&letter.summary, &letter.detail]) {
                    letters.push(letter);
                }
            }
            let is_last = self.limit(&mut letters);
            if self.how.is_dry {
                self.would_replay(&letters);
            } else if !letters.is_empty() {
                self.letters(source, partition, letters, &mut replayed)?;
            }
            if is_last {
                return Err(End::Limit);
            }
        }
    }

    /// Cuts the letters at the limit; `true`: it is reached.
    fn limit(&mut self, letters: &mut Vec<Letter>) -> bool {
        let left = self.how.limit.map_or(usize::MAX, |limit| limit.saturating_sub(self.tried));
        letters.truncate(left);
        self.tried += letters.len();
        letters.len() == left
    }

    fn would_replay(&mut self, letters: &[Letter]) {
        self.report.replayed += letters.len() as u64;
        for letter in letters {
            self.report.tell(letter.id.clone(), letter.summary.clone());
        }
    }

    /// Handles letters again, and keeps which of them are done.
    fn letters(
        &mut self,
        source: &Source,
        partition: i32,
        mut letters: Vec<Letter>,
        replayed: &mut super::Replayed,
    ) -> Result<(), End> {
        let Some(topic) = self.tables[source.consumer].find(&source.topic).cloned() else { return Ok(()) };
        letters.sort_by_key(|letter| (letter.origin.partition, letter.origin.offset));
        for letter in letters.iter().filter(|letter| !letter.has_origin) {
            tracing::warn!(letter = %letter.id, "its headers do not say where it was first read: taken for where it is");
        }
        let records = letters.iter().map(|letter| Arc::new(letter.as_retry())).collect();
        let environment = self.environment(source);
        let (outcomes, ended) = tokio::runtime::Handle::current().block_on(handle_again(&topic, records, &environment));
        for (letter, outcome) in letters.into_iter().zip(outcomes) {
            let offset = letter.id.offset;
            if self.count(letter.id, outcome) {
                replayed.insert(offset);
            }
        }
        self.show_progress();
        if !replayed.fits() {
            return Err(End::Interrupted(format!(
                "`{}` partition {partition} has more gaps between replayed letters than the broker keeps: what was \
                 handled last is not kept as replayed; replay the letters in between first, without `--match` and \
                 the like, from the one at offset {}",
                source.dead_letter_topic,
                replayed.position()
            )));
        }
        self.office.readers[source.consumer].commit(&source.dead_letter_topic, partition, replayed)?;
        ended.map_err(|stop| {
            End::Interrupted(match stop {
                Stop::Outage => "the database or the brokers are away (the log says more): try again later".to_owned(),
                Stop::Fatal(why) => format!("the client that produces is of no more use: {why}"),
                Stop::Retry(_) | Stop::Fenced | Stop::Cancelled => {
                    "a letter was not handled, by a fault of ours".to_owned()
                }
            })
        })
    }

    /// Counts an outcome; `true`: the letter is done with.
    fn count(&mut self, id: LetterId, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Done => self.report.replayed += 1,
            Outcome::Superseded => self.report.superseded += 1,
            Outcome::Skipped(why) => {
                tracing::info!(letter = %id, "skipped: {why}");
                self.report.skipped += 1;
            }
            Outcome::Failed(error) => {
                tracing::debug!(letter = %id, "failed again: {error}");
                self.report.failed += 1;
                self.report.tell(id, crate::dead_letter::summary(error.error()));
                return false;
            }
        }
        true
    }

    fn show_progress(&self) {
        if let Some(view) = &self.view {
            // Of this partition and those before it: the others' ends are not asked for yet.
            view.update(self.read, self.total, self.started.elapsed());
        }
    }

    fn environment(&self, source: &Source) -> BatchEnvironment {
        let consumer = &self.office.consumers[source.consumer];
        let services = &self.office.services;
        let asking = services.asking_config().unwrap_or_default();
        BatchEnvironment {
            consumer: format!("{}.dlq.replay", consumer.declaration.type_name).into(),
            group: consumer.group.as_str().into(),
            settings: services.settings.clone(),
            context: self.context.clone(),
            producer: self.context.producer().clone(),
            clock: self.clock.clone(),
            topics: TopicAdmin::new(asking, None, services.settings.topics.clone()),
            cancel: CancellationToken::new(),
            forces: self.how.is_forced,
        }
    }
}
