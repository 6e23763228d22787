//! The poll thread: one per consumer. It takes messages and rebalances from librdkafka and hands them to the engine
//! as events; it decides nothing.

mod messages;
mod starts;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use metrics::Counter;
use rdkafka::consumer::RebalanceProtocol;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message, Timestamp};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::mpsc;

use self::messages::{MessageQueue, Taken};
pub(crate) use self::starts::Starts;
use super::event::{Event, PartitionId, Positions};
use super::fence::Fence;
use super::outbox::{Closed, Outbox};
use crate::kafka::ClientEvents;
use crate::record::{Headers, RawRecord};

pub(crate) type KafkaConsumer = BaseConsumer<PollContext>;

/// How often it is asked what the group has to say, while no message comes.
const GROUP_INTERVAL: Duration = Duration::from_millis(20);
/// How long a revoke waits for batches in flight. Below librdkafka's shortest sensible session timeout.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(10);

/// librdkafka's callbacks, on the poll thread.
pub(crate) struct PollContext {
    events: mpsc::Sender<Event>,
    client: ClientEvents,
    commit_failures: Counter,
    fence: Arc<Fence>,
    /// Where assigned partitions' messages go: the poll thread has it.
    messages: OnceLock<Weak<MessageQueue>>,
    /// Whether to ask where partitions start.
    asks_starts: bool,
    /// Where they start, when offsets are in the database.
    from_database: Option<Starts>,
}

/// How long the broker may take to say where partitions start.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

impl PollContext {
    pub(crate) fn new(events: mpsc::Sender<Event>, client: ClientEvents, fence: Arc<Fence>) -> Self {
        Self {
            events,
            commit_failures: Counter::noop(),
            client,
            fence,
            messages: OnceLock::new(),
            asks_starts: false,
            from_database: None,
        }
    }

    /// Counts commits that fail.
    pub(crate) fn counting(self, commit_failures: Counter) -> Self {
        Self { commit_failures, ..self }
    }

    /// Asks the broker from which offset each assigned partition is read, so that what it has dropped is noticed.
    /// For brokers whose partitions begin with offset 0, read from their beginning.
    pub(crate) fn asking_starts(self) -> Self {
        Self { asks_starts: true, ..self }
    }

    /// Reads partitions from where the database says.
    pub(crate) fn starting_from_database(self, starts: Starts) -> Self {
        Self { from_database: Some(starts), ..self }
    }

    /// The offset that each partition is read from: the committed one, or 0.
    fn starts(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Vec<(PartitionId, Option<i64>)> {
        if self.from_database.is_some() {
            let start_of = |element: TopicPartitionListElem<'_>| match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            return ids(partitions).into_iter().zip(partitions.elements().into_iter().map(start_of)).collect();
        }
        if !self.asks_starts {
            return ids(partitions).into_iter().map(|id| (id, None)).collect();
        }
        let committed = consumer.committed_offsets(partitions.clone(), ANSWER_TIMEOUT).ok();
        let start_of = |id: &PartitionId| {
            let found = committed.as_ref()?.find_partition(&id.0, id.1)?;
            found.error().is_ok().then(|| match found.offset() {
                Offset::Offset(offset) => offset,
                _ => 0,
            })
        };
        ids(partitions).into_iter().map(|id| (id.clone(), start_of(&id))).collect()
    }

    /// Waits for the engine's answer to a revoke. Waiting is polling, as far as the session is concerned: librdkafka
    /// goes on with its heartbeats meanwhile.
    fn wait_for_drain(&self, drained: &std_mpsc::Receiver<()>) {
        const SLICE: Duration = Duration::from_millis(100);
        // The engine keeps to the bound itself; a little more, so that its answer is not missed.
        let until = Instant::now() + REVOKE_TIMEOUT + Duration::from_secs(1);
        while Instant::now() < until {
            match drained.recv_timeout(SLICE) {
                Ok(()) | Err(std_mpsc::RecvTimeoutError::Disconnected) => return,
                Err(std_mpsc::RecvTimeoutError::Timeout) => {
                    self.fence.polled();
                }
            }
        }
    }
}

impl ClientContext for PollContext {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        self.client.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // No error, and told by the partition's own queue.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        let error = self.client.report(&error, reason);
        if error.is_fatal {
            // Not the poll thread in every case: never wait here.
            let _ = self.events.try_send(Event::Fatal(error.message));
        }
    }
}

impl ConsumerContext for PollContext {
    /// As the default, but for what partitions are assigned with.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let assigns = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if assigns && let Some(starts) = &self.from_database {
            starts.set(self, consumer, partitions);
        }
        let rebalance = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assign(partitions),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => Rebalance::Revoke(partitions),
            code => Rebalance::Error(KafkaError::Rebalance(code.into())),
        };
        self.pre_rebalance(consumer, &rebalance);
        let is_cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let done = match (assigns, is_cooperative) {
            (true, true) => consumer.incremental_assign(partitions),
            (true, false) => consumer.assign(partitions),
            (false, true) => consumer.incremental_unassign(partitions),
            (false, false) => consumer.unassign(),
        };
        if let Err(error) = done {
            tracing::warn!("rebalance: {error}");
        }
        self.post_rebalance(consumer, &rebalance);
    }

    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let partitions = match rebalance {
            Rebalance::Assign(partitions) => {
                if let Some(messages) = self.messages.get().and_then(Weak::upgrade) {
                    messages.forward(&ids(partitions));
                }
                return;
            }
            Rebalance::Revoke(partitions) => ids(partitions),
            Rebalance::Error(_) => return,
        };
        if consumer.assignment_lost() {
            let _ = self.events.blocking_send(Event::Lost(partitions));
            return;
        }
        let (done, drained) = std_mpsc::sync_channel(1);
        if self.events.blocking_send(Event::Revoked { partitions, done }).is_err() {
            return;
        }
        self.wait_for_drain(&drained);
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                let _ = self.events.blocking_send(Event::Assigned(self.starts(consumer, partitions)));
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!("rebalance: {error}"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        match result {
            // Nothing was stored since the last commit.
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                self.commit_failures.increment(1);
                tracing::warn!("offsets were not committed and will be with the next commit: {error}");
            }
        }
    }
}

/// How long a revoke waits for batches in flight.
pub(crate) const fn revoke_timeout() -> Duration {
    REVOKE_TIMEOUT
}

/// Runs until told to stop, then waits until the engine has drained, and leaves the group.
///
/// Offsets are stored by the engine as messages are handled; librdkafka commits what is stored when partitions are
/// taken away or the consumer is closed. A commit of our own, which waits, would wait without end for a broker that is
/// away.
pub(crate) fn run(
    consumer: Arc<KafkaConsumer>,
    events: &mpsc::Sender<Event>,
    stop: &AtomicBool,
    drained: &std_mpsc::Receiver<()>,
    spent: &std_mpsc::Receiver<Vec<Arc<RawRecord>>>,
    poll_timeout: Duration,
) {
    let Some(messages) = MessageQueue::new(consumer).map(Arc::new) else {
        let _ = events.blocking_send(Event::Fatal("there is no memory for a queue of messages".to_owned()));
        return;
    };
    // Called once: there is nothing to replace.
    let _ = messages.consumer().context().messages.set(Arc::downgrade(&messages));
    if poll_until(&messages, events, stop, spent, poll_timeout) == Err(Closed) {
        return;
    }
    // The engine drains meanwhile; where it is gone, it has nothing more to store.
    let _ = drained.recv();
    // Dropping closes: the group is left. The engine must hold no clone of the consumer by now.
    drop(messages);
}

fn poll_until(
    messages: &MessageQueue,
    events: &mpsc::Sender<Event>,
    stop: &AtomicBool,
    spent: &std_mpsc::Receiver<Vec<Arc<RawRecord>>>,
    poll_timeout: Duration,
) -> Result<(), Closed> {
    let consumer = messages.consumer();
    let context = consumer.context();
    let mut topics = Topics::default();
    let mut outbox = Outbox::new(events, &context.fence);
    while !stop.load(Ordering::Relaxed) {
        outbox.polled()?;
        context.client.find_back(consumer.client());
        spent.try_iter().for_each(drop);
        // What the group has to say; a rebalance ends it. All that was taken before is handed over by now, and cannot be
        // taken for messages of an assignment that comes later.
        while let Some(polled) = consumer.poll(Duration::ZERO) {
            match polled {
                // None comes this way: partitions are forwarded before they are assigned.
                Ok(message) => outbox.push(record_of(topics.name(message.topic()), &message)),
                Err(error) => {
                    if let Some(event) = event_of(consumer, &error) {
                        outbox.send(event)?;
                    }
                }
            }
        }
        let mut timeout = poll_timeout.min(GROUP_INTERVAL);
        while !outbox.is_full()
            && let Some(message) = messages.next(timeout)
        {
            take_in(&message, consumer, &mut topics, &mut outbox)?;
            timeout = Duration::ZERO;
        }
        outbox.hand_over()?;
    }
    Ok(())
}

/// A message on its way, or what the client says in its place.
fn take_in(
    message: &Taken<'_>,
    consumer: &KafkaConsumer,
    topics: &mut Topics,
    outbox: &mut Outbox<'_>,
) -> Result<(), Closed> {
    let topic = topics.name(message.topic().to_str().unwrap_or_default());
    match message.error() {
        None => {
            outbox.push(message.record(topic));
            Ok(())
        }
        // Only where ends are asked for.
        Some(RDKafkaErrorCode::PartitionEOF) => outbox.send(Event::EndOfPartition((topic, message.partition()))),
        Some(code) => match event_of(consumer, &KafkaError::MessageConsumption(code)) {
            Some(event) => outbox.send(event),
            None => Ok(()),
        },
    }
}

/// What the engine has to know of an error.
fn event_of(consumer: &KafkaConsumer, error: &KafkaError) -> Option<Event> {
    match error {
        // Told with the partition's messages.
        KafkaError::PartitionEOF(_) => None,
        // A subscribed topic that is not there yet; it is looked for at each metadata refresh.
        KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            Some(Event::UnknownTopic)
        }
        KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::LogTruncation)
            if consumer.context().from_database.is_some() =>
        {
            consumer.context().from_database.as_ref().map(|starts| Event::Fatal(starts.explain(consumer)))
        }
        error => {
            let error = consumer.context().client.report(error, "");
            error.is_fatal.then_some(Event::Fatal(error.message))
        }
    }
}

/// A list with offsets.
pub(crate) fn list(positions: &Positions) -> TopicPartitionList {
    let mut offsets = TopicPartitionList::with_capacity(positions.len());
    for ((topic, partition), offset) in positions {
        // Fails for offsets that no partition has.
        let _ = offsets.add_partition_offset(topic, *partition, Offset::Offset(*offset));
    }
    offsets
}

fn ids(partitions: &TopicPartitionList) -> Vec<PartitionId> {
    partitions.elements().iter().map(|element| (Arc::from(element.topic()), element.partition())).collect()
}

/// A message as it came; `topic` is its topic's name.
pub(crate) fn record_of(topic: Arc<str>, message: &BorrowedMessage<'_>) -> RawRecord {
    let headers = message.headers().map_or_else(Headers::new, |headers| {
        let mut own = Headers::new();
        for header in headers.iter() {
            own.push(header.key, header.value.map(<[u8]>::to_vec));
        }
        own
    });
    let timestamp = message.timestamp();
    RawRecord {
        topic,
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: timestamp.to_millis().filter(|ms| *ms >= 0),
        is_log_append_time: matches!(timestamp, Timestamp::LogAppendTime(_)),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
        retried: None,
    }
}

/// Makes each topic's name once.
#[derive(Default)]
struct Topics {
    names: HashMap<String, Arc<str>>,
    last: Option<Arc<str>>,
}

impl Topics {
    fn name(&mut self, topic: &str) -> Arc<str> {
        if let Some(last) = &self.last
            && **last == *topic
        {
            return last.clone();
        }
        let name = match self.names.get(topic) {
            Some(name) => name.clone(),
            None => self.names.entry(topic.to_owned()).or_insert_with(|| topic.into()).clone(),
        };
        self.last = Some(name.clone());
        name
    }
}
