//! The poll thread: one per consumer. It takes messages and rebalances from librdkafka and hands them to the engine
//! as events; it decides nothing.

mod starts;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use metrics::Counter;
use rdkafka::consumer::RebalanceProtocol;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message, Timestamp};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::mpsc;

pub(crate) use self::starts::Starts;
use super::event::{Event, PartitionId, Positions};
use super::fence::Fence;
use super::outbox::{Closed, Outbox};
use crate::kafka::ClientEvents;
use crate::record::{Headers, RawRecord};

pub(crate) type KafkaConsumer = BaseConsumer<PollContext>;

/// How often partitions' own queues are looked at, while they are empty.
const QUEUES_INTERVAL: Duration = Duration::from_millis(5);
/// How long a revoke waits for batches in flight. Below librdkafka's shortest sensible session timeout.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(10);

/// librdkafka's callbacks, on the poll thread.
pub(crate) struct PollContext {
    events: mpsc::Sender<Event>,
    client: ClientEvents,
    commit_failures: Counter,
    fence: Arc<Fence>,
    /// Where ends of partitions are asked for.
    queues: Option<PartitionQueues>,
    /// Whether to ask where partitions start.
    asks_starts: bool,
    /// Where they start, when offsets are in the database.
    from_database: Option<Starts>,
}

/// How long the broker may take to say where partitions start.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

impl PollContext {
    /// `until_end`: ends of partitions are told.
    pub(crate) fn new(events: mpsc::Sender<Event>, client: ClientEvents, fence: Arc<Fence>, until_end: bool) -> Self {
        Self {
            events,
            commit_failures: Counter::noop(),
            client,
            fence,
            queues: until_end.then(PartitionQueues::default),
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

    /// To be called once the consumer is made.
    pub(crate) fn attach(&self, consumer: &Arc<KafkaConsumer>) {
        if let Some(queues) = &self.queues {
            // Called once: there is nothing to replace.
            let _ = queues.consumer.set(Arc::downgrade(consumer));
        }
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
        let Rebalance::Revoke(partitions) = rebalance else { return };
        let partitions = ids(partitions);
        if let Some(queues) = &self.queues {
            queues.drop(&partitions);
        }
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
                if let Some(queues) = &self.queues {
                    queues.split(ids(partitions));
                }
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

/// A queue for each partition, for `--until-end`: librdkafka's event for the end of a partition names its number but
/// not its topic, so it has to be told by the queue that it comes from.
#[derive(Default)]
struct PartitionQueues {
    consumer: OnceLock<Weak<KafkaConsumer>>,
    queues: Mutex<Vec<(PartitionId, PartitionQueue<PollContext>)>>,
}

impl PartitionQueues {
    fn lock(&self) -> MutexGuard<'_, Vec<(PartitionId, PartitionQueue<PollContext>)>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn split(&self, partitions: Vec<PartitionId>) {
        let Some(consumer) = self.consumer.get().and_then(Weak::upgrade) else { return };
        let split = |id: PartitionId| Some((id.clone(), consumer.split_partition_queue(&id.0, id.1)?));
        self.lock().extend(partitions.into_iter().filter_map(split));
    }

    fn drop(&self, partitions: &[PartitionId]) {
        self.lock().retain(|(id, _)| !partitions.contains(id));
    }

    /// Takes a chunk of what each of the queues has now; whether one of them had anything.
    fn poll(&self, topics: &mut Topics, outbox: &mut Outbox<'_>) -> Result<bool, Closed> {
        let mut had_any = false;
        for (id, queue) in self.lock().iter() {
            while !outbox.is_full() {
                let Some(polled) = queue.poll(Duration::ZERO) else { break };
                had_any = true;
                match polled {
                    Ok(message) => outbox.push(topics.record(&message)),
                    Err(KafkaError::PartitionEOF(_)) => outbox.send(Event::EndOfPartition(id.clone()))?,
                    Err(error) => tracing::warn!(topic = &*id.0, partition = id.1, "{error}"),
                }
            }
            outbox.hand_over()?;
        }
        Ok(had_any)
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
    poll_timeout: Duration,
) {
    if poll_until(&consumer, events, stop, poll_timeout) == Err(Closed) {
        return;
    }
    // The engine drains meanwhile; where it is gone, it has nothing more to store.
    let _ = drained.recv();
    if let Some(queues) = &consumer.context().queues {
        // Each holds the consumer.
        queues.lock().clear();
    }
    // Dropping closes: the group is left. The engine must hold no clone by now.
    drop(consumer);
}

fn poll_until(
    consumer: &KafkaConsumer,
    events: &mpsc::Sender<Event>,
    stop: &AtomicBool,
    poll_timeout: Duration,
) -> Result<(), Closed> {
    let mut topics = Topics::default();
    let context = consumer.context();
    let mut outbox = Outbox::new(events, &context.fence);
    while !stop.load(Ordering::Relaxed) {
        outbox.polled()?;
        context.client.find_back(consumer.client());
        let mut timeout = poll_timeout;
        if let Some(queues) = &context.queues {
            let had_any = queues.poll(&mut topics, &mut outbox)?;
            // The partitions' queues do not wake this poll: while they have messages, nothing is waited for here.
            timeout = if had_any { Duration::ZERO } else { timeout.min(QUEUES_INTERVAL) };
        }
        // A rebalance makes one poll return without a message. So what was pushed before it is handed over before the
        // next one, and cannot be taken for messages of an assignment that comes later.
        let mut polled = consumer.poll(timeout);
        while let Some(result) = polled.take() {
            match result {
                Ok(message) => outbox.push(topics.record(&message)),
                Err(error) => {
                    if let Some(event) = event_of(consumer, &error) {
                        outbox.send(event)?;
                    }
                }
            }
            if !outbox.is_full() {
                polled = consumer.poll(Duration::ZERO);
            }
        }
        outbox.hand_over()?;
    }
    Ok(())
}

/// What the engine has to know of an error.
fn event_of(consumer: &KafkaConsumer, error: &KafkaError) -> Option<Event> {
    match error {
        // Told by the partition's own queue; here it could only be one that was on its way before the split, and
        // comes again.
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
    fn record(&mut self, message: &BorrowedMessage<'_>) -> RawRecord {
        record_of(self.name(message.topic()), message)
    }

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
