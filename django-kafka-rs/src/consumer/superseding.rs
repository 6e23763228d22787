//! Failed messages that a newer one of their key has superseded, as a batch asks for them.

use std::sync::Arc;

use super::lane::Stop;
use super::topic::TopicRuntime;
use crate::error::ConsumeError;
use crate::key_offset_tracker::{Question, is_relational};
use crate::record::RawRecord;

/// Asks the key offset tracker, where the topic uses it.
pub(super) struct Superseding {
    question: Option<Question>,
    records: Arc<[Arc<RawRecord>]>,
}

impl Superseding {
    pub(super) fn new(topic: &TopicRuntime, records: &Arc<[Arc<RawRecord>]>) -> Self {
        let question = topic.tracker.clone().map(|tracker| Question::new(tracker, records.clone()));
        Self { question, records: records.clone() }
    }

    /// Whether the failed message of this index is superseded; says so in the log. Blocks.
    ///
    /// # Errors
    /// The tracker's table cannot be read: no message is at fault, and what follows waits.
    pub(super) fn ask_blocking(&mut self, index: usize, error: &ConsumeError) -> Result<bool, Stop> {
        let Some(question) = self.question.as_mut().filter(|_| is_relational(error)) else { return Ok(false) };
        let answer = question.later_offset(index);
        self.judge(index, answer, error)
    }

    /// The same for who must not block.
    ///
    /// # Errors
    /// As [`ask_blocking`](Self::ask_blocking).
    pub(super) async fn ask(&mut self, index: usize, error: &ConsumeError) -> Result<bool, Stop> {
        if !is_relational(error) {
            return Ok(false);
        }
        match self.question(index).await {
            Some(answer) => self.judge(index, answer, error),
            None => Ok(false),
        }
    }

    /// Whether a newer message of this one's key is there, whether this one fails or not.
    ///
    /// # Errors
    /// As [`ask_blocking`](Self::ask_blocking).
    pub(super) async fn is_superseded(&mut self, index: usize) -> Result<bool, Stop> {
        match self.question(index).await {
            Some(answer) => self.judge(index, answer, &"not handled again"),
            None => Ok(false),
        }
    }

    /// `None`: the topic does not use the tracker.
    async fn question(&mut self, index: usize) -> Option<Result<Option<i64>, String>> {
        let mut question = self.question.take()?;
        let asked = tokio::task::spawn_blocking(move || {
            let answer = question.later_offset(index);
            (question, answer)
        });
        match asked.await {
            Ok((question, answer)) => {
                self.question = Some(question);
                Some(answer)
            }
            Err(fault) => Some(Err(format!("the key offset tracker was not asked, by a fault of ours: {fault}"))),
        }
    }

    fn judge(
        &self,
        index: usize,
        answer: Result<Option<i64>, String>,
        why: &dyn std::fmt::Display,
    ) -> Result<bool, Stop> {
        let origin = self.records[index].origin();
        let (topic, partition, offset) = (&*origin.topic, origin.partition, origin.offset);
        match answer {
            Ok(Some(newer)) => {
                tracing::info!(
                    topic,
                    partition,
                    offset,
                    newer,
                    "superseded by a newer message of its key, skipped: {why}"
                );
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(reason) => {
                tracing::warn!(topic, partition, offset, "the partition waits for the database: {reason}");
                Err(Stop::Outage)
            }
        }
    }
}
