//! What an engine counts: of its consumer, and of each topic that it has partitions of.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram};

use super::{Meters, catalog};
use crate::consumer::event::BatchReport;
use crate::consumer::lane::{Batch, Stop};
use crate::sync::Stage;

/// What a consumer counts.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerMeters {
    meters: Meters,
    consumer: Arc<str>,
    pub(crate) assigned: Counter,
    pub(crate) revoked: Counter,
    pub(crate) lost: Counter,
    pub(crate) lapses: Counter,
}

impl ConsumerMeters {
    pub(crate) fn new(meters: &Meters, consumer: Arc<str>) -> Self {
        let rebalances = |what| meters.counter(&catalog::REBALANCES, &[&consumer, what]);
        Self {
            assigned: rebalances("assigned"),
            revoked: rebalances("revoked"),
            lost: rebalances("lost"),
            lapses: meters.counter(&catalog::LAPSES, &[&consumer]),
            meters: meters.clone(),
            consumer,
        }
    }

    /// What is counted of a topic, whose batches have these stages.
    pub(crate) fn of_topic(&self, topic: &str, stages: &[Stage]) -> TopicMeters {
        let labels = [&*self.consumer, topic];
        let counter = |metric| self.meters.counter(metric, &labels);
        let histogram = |metric| self.meters.histogram(metric, &labels);
        let retried = |how| self.meters.counter(&catalog::RETRIED, &[&self.consumer, topic, how]);
        let stage =
            |stage: Stage| self.meters.histogram(&catalog::STAGE_SECONDS, &[&self.consumer, topic, stage.name()]);
        TopicMeters {
            handled: counter(&catalog::HANDLED),
            failed: counter(&catalog::FAILED),
            retried_in_place: retried("in_place"),
            retried_by_topic: retried("topic"),
            dead_lettered: counter(&catalog::DEAD_LETTERED),
            parked: counter(&catalog::PARKED),
            superseded: counter(&catalog::SUPERSEDED),
            skipped: counter(&catalog::SKIPPED),
            outages: counter(&catalog::OUTAGES),
            age: histogram(&catalog::MESSAGE_AGE),
            messages: histogram(&catalog::BATCH_MESSAGES),
            seconds: histogram(&catalog::BATCH_SECONDS),
            stages: stages.iter().map(|of| (*of, stage(*of))).collect(),
        }
    }
}

/// What is counted of a topic's batches.
#[derive(Debug)]
pub(crate) struct TopicMeters {
    handled: Counter,
    failed: Counter,
    retried_in_place: Counter,
    retried_by_topic: Counter,
    dead_lettered: Counter,
    parked: Counter,
    superseded: Counter,
    skipped: Counter,
    outages: Counter,
    age: Histogram,
    messages: Histogram,
    seconds: Histogram,
    stages: Vec<(Stage, Histogram)>,
}

/// A batch that is under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    messages: usize,
    at: Instant,
    /// The time of its first message, milliseconds since 1970.
    head_ms: Option<i64>,
}

impl Begun {
    pub(crate) fn new(batch: &Batch, now: Instant) -> Self {
        let head_ms = batch.records.first().and_then(|record| record.timestamp_ms);
        Self { messages: batch.records.len(), at: now, head_ms }
    }

    pub(crate) fn finished(self, now: Instant, now_ms: i64) -> Finished {
        let age = self.head_ms.map(|ms| Duration::from_millis(u64::try_from(now_ms - ms).unwrap_or(0)));
        Finished { messages: self.messages, took: now - self.at, age }
    }
}

/// A batch, as far as its report does not say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    /// How many messages it had.
    pub(crate) messages: usize,
    pub(crate) took: Duration,
    /// How old its first message is, where that bears a time.
    pub(crate) age: Option<Duration>,
}

impl TopicMeters {
    /// Counts a batch. One without messages claims a partition, and is no batch to whoever looks at sizes and times.
    pub(crate) fn count(&self, report: &BatchReport, finished: Finished) {
        let in_place = usize::from(matches!(report.stop, Some(Stop::Retry(_))));
        let failed = report.dead_lettered + report.retried + report.tally.skipped + in_place;
        self.handled.increment(report.handled as u64);
        self.failed.increment(failed as u64);
        self.retried_in_place.increment(in_place as u64);
        self.retried_by_topic.increment(report.retried as u64);
        self.dead_lettered.increment(report.dead_lettered as u64);
        self.parked.increment(report.tally.parked as u64);
        self.superseded.increment(report.superseded as u64);
        self.skipped.increment(report.tally.skipped as u64);
        self.outages.increment(u64::from(report.stop == Some(Stop::Outage)));
        if finished.messages == 0 {
            return;
        }
        self.messages.record(finished.messages as f64);
        self.seconds.record(finished.took);
        if let Some(age) = finished.age.filter(|_| report.handled > 0) {
            self.age.record(age);
        }
        for (stage, histogram) in &self.stages {
            if let Some(spent) = report.tally.stages.of(*stage) {
                histogram.record(spent);
            }
        }
    }
}
