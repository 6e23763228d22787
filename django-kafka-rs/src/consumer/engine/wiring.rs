//! What an engine is started with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::consumer::batch::BatchEnvironment;
use crate::consumer::event::Event;
use crate::consumer::fence::Fence;
use crate::consumer::lane::LaneLimits;
use crate::consumer::ledger::Ledger;
use crate::consumer::poll::KafkaConsumer;
use crate::consumer::progress::Progress;
use crate::consumer::topic::{TopicRuntime, TopicTable};
use crate::meters::ConsumerMeters;
use crate::record::RawRecord;
use crate::retry;
use crate::topic::names::{DerivedNames, original_of};

/// How a consumer runs.
pub(crate) struct EngineConfig {
    pub(crate) name: Arc<str>,
    pub(crate) topics: Arc<TopicTable>,
    /// What the client is subscribed to.
    pub(crate) subscription: Vec<String>,
    pub(crate) limits: LaneLimits,
    /// Batches at the same time.
    pub(crate) workers: usize,
    /// For the consumer of retry topics.
    pub(crate) is_retry: bool,
    /// Ends when every partition's end is handled.
    pub(crate) until_end: bool,
    /// None of its topics was there at the start: then no assignment comes.
    pub(crate) has_no_topics: bool,
    /// Offsets have no holes: one that is missing was lost.
    pub(crate) detects_gaps: bool,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) environment: BatchEnvironment,
    pub(crate) clock: Clock,
    pub(crate) progress: Arc<Progress>,
    pub(crate) meters: ConsumerMeters,
    pub(crate) fence: Arc<Fence>,
    /// The books, where offsets are in the database.
    pub(crate) ledger: Option<Ledger>,
    /// How long no batch starts after a lapse: by then the client knows whether it is still a member.
    pub(crate) lapse_hold: Duration,
}

impl EngineConfig {
    /// Who handles messages of this topic.
    pub(super) fn find(&self, topic: &str) -> Option<&Arc<TopicRuntime>> {
        if !self.is_retry {
            return self.topics.find(topic);
        }
        let name = original_of(topic, &self.environment.group, &self.environment.settings.retry_topic_suffix)?;
        self.topics.find(name.topic)
    }

    /// A message of a retry topic as it was, and when it is to be tried.
    pub(super) fn unpack(&self, record: Arc<RawRecord>) -> (Arc<RawRecord>, Option<Instant>) {
        if !self.is_retry {
            return (record, None);
        }
        let record = Arc::unwrap_or_clone(record);
        let suffixes = self.environment.settings.suffixes();
        let names = DerivedNames { group: &self.environment.group, topic: "", suffixes };
        let (topic, partition, offset) = (record.topic.clone(), record.partition, record.offset);
        match retry::message::read(record, &names, self.clock.now_ms()) {
            Ok(read) => {
                for warning in &read.warnings {
                    tracing::warn!(topic = &*topic, partition, offset, "{warning}");
                }
                (Arc::new(read.record), read.due_ms.map(|ms| self.clock.at_ms(ms)))
            }
            Err(record) => (Arc::from(record), None),
        }
    }
}

/// Messages on their way back to the poll thread, which made them. Memory that one thread allocates and another frees
/// has both wait for one lock. No more are under way than the lanes may hold: while nobody takes them, none are made.
pub(crate) type Spent = std_mpsc::Sender<Vec<Arc<RawRecord>>>;

/// The parts that an engine is started with.
pub(crate) struct Wiring {
    pub(crate) consumer: Arc<KafkaConsumer>,
    pub(crate) sender: mpsc::Sender<Event>,
    pub(crate) events: mpsc::Receiver<Event>,
    /// Stops the poll thread's polling.
    pub(crate) stop_polling: StopPolling,
    /// Messages that are done with, for the poll thread to drop.
    pub(crate) spent: Spent,
    /// Tells the poll thread that everything handled is stored.
    pub(crate) drained: std_mpsc::Sender<()>,
}

/// Stops the poll thread's polling: when told, and when dropped, so that an engine that is cancelled with its
/// runtime leaves no thread behind.
#[derive(Default)]
pub(crate) struct StopPolling(Arc<AtomicBool>);

impl StopPolling {
    /// What the poll thread looks at.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    pub(super) fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for StopPolling {
    fn drop(&mut self) {
        self.tell();
    }
}
