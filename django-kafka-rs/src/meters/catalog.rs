//! Every metric, once: its name, its kind, its labels and what it says. `docs/metrics.md` has the same table; a test holds
//! the two together.

use metrics::Unit;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It only grows, from 0 at the start of the process.
    Counter,
    /// A value of now.
    Gauge,
    /// How often values were how large.
    Histogram(Buckets),
}

/// The upper bounds of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Buckets {
    /// What a batch and its stages take.
    Seconds,
    /// How old messages are.
    Age,
    /// Messages in a batch.
    Messages,
}

impl Buckets {
    pub(crate) const fn bounds(self) -> &'static [f64] {
        match self {
            Self::Seconds => {
                &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]
            }
            Self::Age => {
                &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0]
            }
            Self::Messages => {
                &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0]
            }
        }
    }
}

/// A metric.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unit: Unit,
    /// In the order in which values are given. Each has few values: what is declared, assigned, or listed here.
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

macro_rules! catalog {
    ($($constant:ident: $kind:expr, $unit:ident, $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            pub(crate) const $constant: Metric = Metric {
                name: $name,
                kind: $kind,
                unit: Unit::$unit,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// All of them.
        pub(crate) const ALL: &[Metric] = &[$($constant),*];
    };
}

use Buckets::{Age, Messages, Seconds};
use Kind::{Counter, Gauge, Histogram};

catalog! {
    HANDLED: Counter, Count, "django_kafka_messages_handled_total" ["consumer", "topic"]
        "Messages done with: written, handled, skipped, parked, or sent to a retry or dead letter topic.";
    FAILED: Counter, Count, "django_kafka_messages_failed_total" ["consumer", "topic"]
        "Failed attempts, whatever became of their messages.";
    RETRIED: Counter, Count, "django_kafka_messages_retried_total" ["consumer", "topic", "how"]
        "Failed attempts that are tried again: in_place, with the partition waiting, or by a retry topic.";
    DEAD_LETTERED: Counter, Count, "django_kafka_messages_dead_lettered_total" ["consumer", "topic"]
        "Messages that the dead letter topic has acknowledged.";
    PARKED: Counter, Count, "django_kafka_messages_parked_total" ["consumer", "topic"]
        "Messages stored because a row that they refer to is not there yet.";
    SUPERSEDED: Counter, Count, "django_kafka_messages_superseded_total" ["consumer", "topic"]
        "Messages passed over because newer ones of their keys had done all that they would.";
    SKIPPED: Counter, Count, "django_kafka_messages_skipped_total" ["consumer", "topic"]
        "Messages that failed with an error that says to skip them.";
    OUTAGES: Counter, Count, "django_kafka_outages_total" ["consumer", "topic"]
        "Batches that ended because the database, the brokers or the schema registry were away; no message is at fault.";
    MESSAGE_AGE: Histogram(Age), Seconds, "django_kafka_message_age_seconds" ["consumer", "topic"]
        "How old a batch's first message is when the batch is done, by the time that the message bears.";
    BATCH_MESSAGES: Histogram(Messages), Count, "django_kafka_batch_messages" ["consumer", "topic"]
        "Messages in a batch.";
    BATCH_SECONDS: Histogram(Seconds), Seconds, "django_kafka_batch_seconds" ["consumer", "topic"]
        "From a batch's start to its end, acknowledgements of retries and dead letters included.";
    STAGE_SECONDS: Histogram(Seconds), Seconds, "django_kafka_stage_seconds" ["consumer", "topic", "stage"]
        "What a batch spent in a stage: decode, check (ordering guard and relations), plan, write, commit, or handle.";
    LAG: Gauge, Count, "django_kafka_lag_messages" ["consumer", "topic", "partition"]
        "Offsets between what is handled and the partition's end.";
    POSITION: Gauge, Count, "django_kafka_position_offset" ["consumer", "topic", "partition"]
        "The offset behind the last message handled.";
    HEAD_AGE: Gauge, Seconds, "django_kafka_oldest_waiting_seconds" ["consumer", "topic", "partition"]
        "How old the oldest message is that was read and is not done with; 0 where there is none.";
    HEAD_FAILURES: Gauge, Count, "django_kafka_failures_in_place" ["consumer", "topic", "partition"]
        "How often the message that holds the partition has failed; 0 where none does.";
    BUFFERED: Gauge, Count, "django_kafka_buffered_messages" ["consumer", "topic", "partition"]
        "Messages that were read and are not done with.";
    BUFFERED_BYTES: Gauge, Bytes, "django_kafka_buffered_bytes" ["consumer", "topic", "partition"]
        "Their bytes.";
    ASSIGNED: Gauge, Count, "django_kafka_partitions_assigned" ["consumer"]
        "Partitions that this process has.";
    REBALANCES: Counter, Count, "django_kafka_rebalances_total" ["consumer", "what"]
        "Rebalances, by what they did to this member: assigned, revoked, or lost.";
    LAPSES: Counter, Count, "django_kafka_session_lapses_total" ["consumer"]
        "Times that the process stood still for longer than its session lasts.";
    COMMIT_FAILURES: Counter, Count, "django_kafka_commit_failures_total" ["consumer"]
        "Commits of offsets that failed; the next one has them too.";
    SINCE_POLL: Gauge, Seconds, "django_kafka_since_poll_seconds" ["consumer"]
        "Since the poll thread last polled.";
    CLIENT_ERRORS: Counter, Count, "django_kafka_client_errors_total" ["client"]
        "Errors of a Kafka client as a whole: brokers away, authentication refused.";
    PRODUCED: Counter, Count, "django_kafka_produced_messages_total" []
        "Messages that the broker has acknowledged.";
    PRODUCE_FAILURES: Counter, Count, "django_kafka_produce_failures_total" ["topic"]
        "Messages that the broker did not take.";
    PRODUCER_QUEUE: Gauge, Count, "django_kafka_producer_queue_messages" []
        "Messages that are produced and not acknowledged.";
    CONNECTIONS: Gauge, Count, "django_kafka_database_connections" ["state"]
        "Connections that are lent out (used), and that may be lent at most (max).";
    CONNECTION_QUEUE: Gauge, Count, "django_kafka_database_waiting" []
        "Who waits for a connection.";
    CONNECTION_WAIT: Histogram(Seconds), Seconds, "django_kafka_database_wait_seconds" []
        "How long those waited for a connection that did not get one at once.";
    DATABASE_UP: Gauge, Count, "django_kafka_database_up" []
        "1 while the database answers, 0 while it does not.";
    WAITING: Gauge, Count, "django_kafka_waiting_messages" ["relation"]
        "Parked messages in the database, of all processes, by the relation that they wait for.";
    WAITING_AGE: Gauge, Seconds, "django_kafka_waiting_oldest_seconds" ["relation"]
        "Since the first of them was parked.";
    RESOLVED: Counter, Count, "django_kafka_waiting_resolved_total" []
        "Parked messages that this process's daemon has had handled.";
    REGISTRY_REQUESTS: Counter, Count, "django_kafka_schema_registry_requests_total" ["outcome"]
        "Requests to the schema registry: ok, refused, or away.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What the documentation has to say of a metric.
    type Row = (String, Vec<String>);

    fn documented() -> BTreeMap<String, Row> {
        let text = include_str!("../../../docs/metrics.md");
        let rows = text.lines().filter(|line| line.starts_with("| `django_kafka_"));
        let cells = rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect());
        cells
            .map(|cells: Vec<String>| {
                let [name, kind, labels, ..] = cells.as_slice() else { panic!("a row with too few cells: {cells:?}") };
                let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
                let labels = labels.filter(|label| !label.is_empty()).collect();
                (name.trim_matches('`').to_owned(), (kind.clone(), labels))
            })
            .collect()
    }

    #[test]
    fn every_metric_is_documented_and_every_documented_metric_is_there() {
        let expected: BTreeMap<String, Row> = ALL
            .iter()
            .map(|metric| {
                let kind = match metric.kind {
                    Counter => "counter",
                    Gauge => "gauge",
                    Histogram(_) => "histogram",
                };
                let labels = metric.labels.iter().map(|label| (*label).to_owned()).collect();
                (metric.name.to_owned(), (kind.to_owned(), labels))
            })
            .collect();
        assert_eq!(documented(), expected);
        assert_eq!(expected.len(), ALL.len(), "a name twice");
    }

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let is_word = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !text.contains("__");
        for Metric { name, kind, unit, labels, help } in ALL {
            assert!(name.starts_with("django_kafka_") && is_word(name), "{name}");
            assert_eq!(*kind == Counter, name.ends_with("_total"), "{name}: counters alone are totals");
            assert_eq!(*unit == Unit::Seconds, name.ends_with("_seconds"), "{name}");
            assert_eq!(*unit == Unit::Bytes, name.ends_with("_bytes"), "{name}");
            for reserved in ["_count", "_sum", "_bucket", "_info", "_ms"] {
                assert!(!name.ends_with(reserved), "{name}");
            }
            assert!(labels.iter().all(|label| is_word(label) && !["le", "quantile", "key", "value"].contains(label)));
            assert!(help.ends_with('.'), "{name}: {help}");
        }
    }

    #[test]
    fn buckets_rise() {
        for buckets in [Buckets::Seconds, Age, Messages] {
            assert!(buckets.bounds().windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
