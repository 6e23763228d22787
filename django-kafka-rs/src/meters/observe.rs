//! What stands somewhere: asked of its owner when somebody wants to know, at most once a second, and never for long.
//!
//! Lag is the partition's end, as the broker says it now, less what is handled. librdkafka knows an end by itself, but only
//! from its last fetch: of a partition that stands still, which is paused, it would go on saying the old one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use super::Meters;
use super::catalog::{self, Metric};
use super::health::{self, EngineState, Vital};
use crate::clock::Clock;
use crate::consumer::event::{Event, LaneSnapshot, PartitionId, Snapshot};
use crate::consumer::fence::Fence;
use crate::db::Database;
use crate::producer::Producer;
use crate::relations::{Count, Resolver};

/// What was asked so lately is not asked again.
const FRESH: Duration = Duration::from_secs(1);
/// How long an engine may take to answer.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long brokers may take.
const BROKER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the database may take to say that it is there; the lock of another writer may be in between.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);
/// Waiting messages are counted this seldom, and more seldom where counting takes long.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);

/// A consumer, as far as it is watched.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) name: Arc<str>,
    pub(crate) group: Arc<str>,
    pub(crate) is_retry: bool,
    pub(crate) sender: mpsc::Sender<Event>,
    pub(crate) fence: Arc<Fence>,
    /// `max.poll.interval.ms`.
    pub(crate) silence_max: Duration,
}

/// Who is asked.
pub(crate) struct Observed {
    pub(crate) consumers: Vec<Watched>,
    /// The configuration of a client that only asks.
    pub(crate) asking: ClientConfig,
    pub(crate) producer: Producer,
    pub(crate) database: Option<Database>,
    pub(crate) resolver: Option<Resolver>,
    pub(crate) clock: Clock,
}

/// Asks. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Observer(Arc<Inner>);

struct Inner {
    meters: Meters,
    observed: Observed,
    /// Since when each consumer's engine has not answered.
    silent: Mutex<Vec<Option<Instant>>>,
    /// One observation at a time.
    state: tokio::sync::Mutex<State>,
    /// One ping at a time, however many ask.
    ping: tokio::sync::Mutex<Ping>,
}

#[derive(Default)]
struct Ping {
    question: Question<Result<(), String>>,
    /// That it is away is said already.
    is_said: bool,
}

#[derive(Default)]
struct State {
    at: Option<Instant>,
    /// The partitions that have gauges.
    lanes: HashSet<(usize, PartitionId)>,
    /// Where partitions stood when they were assigned, of those of which nothing was read since.
    starts: HashMap<(usize, PartitionId), i64>,
    /// Made when it is first needed.
    client: Arc<Mutex<Option<BaseConsumer>>>,
    offsets: Question<Offsets>,
    counting: Question<Option<(Vec<Count>, Duration)>>,
    count_at: Option<Instant>,
    /// What is known to be waiting, by relation: how many, and since when in milliseconds since 1970.
    waiting: BTreeMap<String, (i64, i64)>,
}

/// A partition's gauges. None is kept: a recorder may have dropped one that was not set for long. None is made before it
/// is set: it would say 0.
struct Gauges<'g> {
    meters: &'g Meters,
    consumer: &'g str,
    id: &'g PartitionId,
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer").field("consumers", &self.0.observed.consumers.len()).finish_non_exhaustive()
    }
}

impl Observer {
    pub(crate) fn new(meters: Meters, observed: Observed) -> Self {
        let silent = Mutex::new(vec![None; observed.consumers.len()]);
        Self(Arc::new(Inner {
            meters,
            observed,
            silent,
            state: tokio::sync::Mutex::default(),
            ping: tokio::sync::Mutex::default(),
        }))
    }

    /// Whether the process is to be left alone; else why not.
    pub(crate) async fn live(&self) -> Result<(), String> {
        health::live(&self.vitals(&self.snapshots().await))
    }

    /// Whether the process does its work; else what it lacks.
    pub(crate) async fn ready(&self) -> Result<(), String> {
        let vitals = self.vitals(&self.snapshots().await);
        health::ready(Some(&vitals), self.ping().await)
    }

    /// Sets the gauges to what is so now. What does not answer in time keeps its value.
    pub(crate) async fn observe(&self) {
        let mut state = self.0.state.lock().await;
        if state.at.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        let snapshots = self.snapshots().await;
        self.set_lanes(&mut state, &snapshots);
        self.set_process();
        self.set_lag(&mut state, &snapshots).await;
        self.set_waiting(&mut state).await;
        if self.0.observed.database.is_some() {
            let is_up = self.ping().await.is_ok();
            self.0.meters.gauge(&catalog::DATABASE_UP, &[]).set(f64::from(u8::from(is_up)));
        }
        state.at = Some(Instant::now());
    }

    /// Asks all engines at once. `None`: it did not answer.
    async fn snapshots(&self) -> Vec<Option<Ended<Snapshot>>> {
        let mut asked = JoinSet::new();
        for (index, consumer) in self.0.observed.consumers.iter().enumerate() {
            let sender = consumer.sender.clone();
            asked.spawn(async move {
                let (answer, snapshot) = oneshot::channel();
                let asking = async {
                    match sender.send(Event::Snapshot(answer)).await {
                        Ok(()) => snapshot.await.ok(),
                        Err(_) => None,
                    }
                };
                (index, tokio::time::timeout(ENGINE_TIMEOUT, asking).await.ok())
            });
        }
        let mut snapshots = vec![None; self.0.observed.consumers.len()];
        while let Some(answered) = asked.join_next().await {
            if let Ok((index, answer)) = answered {
                snapshots[index] = answer;
            }
        }
        let mut silent = self.0.silent.lock().unwrap_or_else(PoisonError::into_inner);
        for (since, snapshot) in silent.iter_mut().zip(&snapshots) {
            *since = if snapshot.is_some() { None } else { since.or_else(|| Some(Instant::now())) };
        }
        snapshots
    }

    fn vitals(&self, snapshots: &[Option<Ended<Snapshot>>]) -> Vec<Vital> {
        let silent = self.0.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let consumers = self.0.observed.consumers.iter().zip(snapshots).zip(silent.iter());
        consumers
            .map(|((consumer, snapshot), silent)| Vital {
                consumer: consumer.name.clone(),
                is_retry: consumer.is_retry,
                limit: consumer.silence_max,
                since_poll: consumer.fence.since_poll(),
                engine: match snapshot {
                    Some(Some(snapshot)) if !snapshot.is_draining => {
                        EngineState::Running { is_assigned: snapshot.is_assigned }
                    }
                    Some(_) => EngineState::Ending,
                    None => EngineState::Silent(silent.map_or(Duration::ZERO, |since| since.elapsed())),
                },
            })
            .collect()
    }

    /// Whether the database answers; else what to say to those who ask, whoever they are: the log has the reason, which
    /// names addresses.
    async fn ping(&self) -> Result<(), String> {
        let Some(database) = self.0.observed.database.clone() else { return Ok(()) };
        let mut ping = self.0.ping.lock().await;
        let pinging = move || database.ping().map_err(|error| error.to_string());
        let (verdict, why) = match ping.question.ask(DATABASE_TIMEOUT, pinging).await {
            Some(Ok(())) => (Ok(()), None),
            Some(Err(why)) => (Err("the database does not answer; the log says why".to_owned()), Some(why)),
            None => {
                let late = format!("the database does not answer within {} s", DATABASE_TIMEOUT.as_secs());
                (Err(late.clone()), Some(late))
            }
        };
        match why {
            Some(why) if !ping.is_said => tracing::warn!("not ready: {why}"),
            None if ping.is_said => tracing::info!("the database answers again"),
            _ => {}
        }
        ping.is_said = verdict.is_err();
        verdict
    }

    fn set_lanes(&self, state: &mut State, snapshots: &[Option<Ended<Snapshot>>]) {
        let meters = &self.0.meters;
        let now_ms = self.0.observed.clock.now_ms();
        for (index, (consumer, snapshot)) in self.0.observed.consumers.iter().zip(snapshots).enumerate() {
            meters.gauge(&catalog::SINCE_POLL, &[&consumer.name]).set(consumer.fence.since_poll());
            let Some(snapshot) = snapshot else { continue };
            let lanes = snapshot.as_ref().map(|snapshot| &snapshot.lanes);
            meters.gauge(&catalog::ASSIGNED, &[&consumer.name]).set(lanes.map_or(0, HashMap::len) as f64);
            for (id, lane) in lanes.into_iter().flatten() {
                Gauges { meters, consumer: &consumer.name, id }.set_lane(lane, now_ms);
                state.lanes.insert((index, id.clone()));
            }
            // What was taken away is somebody else's to show: until its series go, it says 0.
            let is_ours = |id: &PartitionId| lanes.is_some_and(|lanes| lanes.contains_key(id));
            state.starts.retain(|(of, id), _| *of != index || is_ours(id));
            state.lanes.retain(|(of, id)| {
                let keeps = *of != index || is_ours(id);
                if !keeps {
                    Gauges { meters, consumer: &consumer.name, id }.clear();
                }
                keeps
            });
        }
    }

    fn set_process(&self) {
        let Observed { producer, database, .. } = &self.0.observed;
        let set = |metric, labels: &[&str], value: u64| self.0.meters.gauge(metric, labels).set(value as f64);
        set(&catalog::PRODUCER_QUEUE, &[], producer.in_flight());
        if let Some(database) = database {
            let usage = database.usage();
            set(&catalog::CONNECTIONS, &["max"], usage.max);
            set(&catalog::CONNECTIONS, &["used"], usage.used);
            set(&catalog::CONNECTION_QUEUE, &[], usage.waiting);
        }
    }

    async fn set_lag(&self, state: &mut State, snapshots: &[Option<Ended<Snapshot>>]) {
        let consumers = self.0.observed.consumers.iter();
        let mut stands: Vec<(usize, PartitionId, Option<i64>)> = Vec::new();
        let (mut partitions, mut unknown) = (BTreeSet::new(), BTreeMap::<String, Vec<(usize, PartitionId)>>::new());
        for (index, (consumer, snapshot)) in consumers.zip(snapshots).enumerate() {
            for (id, lane) in snapshot.iter().flatten().flat_map(|snapshot| &snapshot.lanes) {
                let read = lane.position.or(lane.head.map(|(offset, _)| offset));
                let stand = read.or_else(|| state.starts.get(&(index, id.clone())).copied());
                if stand.is_none() {
                    unknown.entry(consumer.group.to_string()).or_default().push((index, id.clone()));
                }
                partitions.insert(id.clone());
                stands.push((index, id.clone(), stand));
            }
        }
        if partitions.is_empty() {
            return;
        }
        let (client, asking) = (state.client.clone(), self.0.observed.asking.clone());
        let ask = move || offsets(&client, &asking, &partitions, &unknown);
        // Twice as long as one question: there may be one for each group.
        let answer = state.offsets.ask(BROKER_TIMEOUT * 2, ask).await.unwrap_or_default();
        state.starts.extend(answer.committed);
        for (index, id, stand) in stands {
            let key = (index, id);
            let Some(stand) = stand.or_else(|| state.starts.get(&key).copied()) else { continue };
            let (meters, consumer) = (&self.0.meters, &*self.0.observed.consumers[index].name);
            let gauges = Gauges { meters, consumer, id: &key.1 };
            gauges.set(&catalog::POSITION, stand as f64);
            if let Some(end) = answer.ends.get(&key.1) {
                // The end may have been asked for before the last messages were there.
                gauges.set(&catalog::LAG, (end - stand).max(0) as f64);
            }
        }
    }

    async fn set_waiting(&self, state: &mut State) {
        let Observed { resolver: Some(resolver), clock, .. } = &self.0.observed else { return };
        let now = Instant::now();
        if state.count_at.is_none_or(|at| at <= now) {
            let resolver = resolver.clone();
            let count = move || {
                let started = Instant::now();
                resolver.totals().ok().map(|counts| (counts, started.elapsed()))
            };
            if let Some(counted) = state.counting.ask(DATABASE_TIMEOUT, count).await {
                let took = counted.as_ref().map_or(Duration::ZERO, |(_, took)| *took);
                state.count_at = Some(now + COUNT_INTERVAL.max(took * 20));
                if let Some((counts, _)) = counted {
                    note_waiting(&mut state.waiting, counts);
                }
            }
        }
        let now_ms = clock.now_ms();
        for (relation, (messages, oldest_ms)) in &state.waiting {
            let age = if *messages == 0 { 0.0 } else { seconds_since(*oldest_ms, now_ms) };
            self.0.meters.gauge(&catalog::WAITING, &[relation]).set(*messages as f64);
            self.0.meters.gauge(&catalog::WAITING_AGE, &[relation]).set(age);
        }
    }
}

/// An engine's answer; `None`: it has ended.
type Ended<T> = Option<T>;

/// Takes over what waits now. A relation that nothing waits for any more has 0.
fn note_waiting(waiting: &mut BTreeMap<String, (i64, i64)>, counts: Vec<Count>) {
    for known in waiting.values_mut() {
        *known = (0, 0);
    }
    for count in counts {
        let relation = match (&count.relation, count.deletion) {
            (Some(relation), false) => format!("{}.{}", relation.model_key, relation.field),
            (Some(relation), true) => format!("deletion of {}", relation.model_key),
            // To be looked at.
            (None, _) => "unknown".to_owned(),
        };
        let known = waiting.entry(relation).or_insert((0, 0));
        let oldest_ms = if known.0 == 0 { count.oldest_ms } else { known.1.min(count.oldest_ms) };
        *known = (known.0 + count.messages, oldest_ms);
    }
}

fn seconds_since(ms: i64, now_ms: i64) -> f64 {
    (now_ms - ms).max(0) as f64 / 1_000.0
}

impl Gauges<'_> {
    fn set(&self, metric: &'static Metric, value: f64) {
        let (topic, partition) = (&*self.id.0, self.id.1.to_string());
        self.meters.gauge(metric, &[self.consumer, topic, &partition]).set(value);
    }

    fn set_lane(&self, lane: &LaneSnapshot, now_ms: i64) {
        let head_ms = lane.head.and_then(|(_, ms)| ms);
        self.set(&catalog::HEAD_AGE, head_ms.map_or(0.0, |ms| seconds_since(ms, now_ms)));
        self.set(&catalog::HEAD_FAILURES, lane.failures.into());
        self.set(&catalog::BUFFERED, lane.buffered.messages as f64);
        self.set(&catalog::BUFFERED_BYTES, lane.buffered.bytes as f64);
    }

    fn clear(&self) {
        use catalog::{BUFFERED, BUFFERED_BYTES, HEAD_AGE, HEAD_FAILURES, LAG};
        for metric in [&LAG, &HEAD_AGE, &HEAD_FAILURES, &BUFFERED, &BUFFERED_BYTES] {
            self.set(metric, 0.0);
        }
    }
}

/// What brokers said.
#[derive(Default)]
struct Offsets {
    ends: HashMap<PartitionId, i64>,
    committed: HashMap<(usize, PartitionId), i64>,
}

/// Asks for the ends of these partitions, and for what groups have committed of others. Blocks.
fn offsets(
    client: &Mutex<Option<BaseConsumer>>,
    asking: &ClientConfig,
    partitions: &BTreeSet<PartitionId>,
    unknown: &BTreeMap<String, Vec<(usize, PartitionId)>>,
) -> Offsets {
    let mut offsets = Offsets::default();
    let mut client = client.lock().unwrap_or_else(PoisonError::into_inner);
    if client.is_none() {
        *client = asking.create().ok();
    }
    let Some(client) = client.as_ref() else { return offsets };
    // Its errors are told by the clients that work.
    for _ in 0..100 {
        if client.poll(Duration::ZERO).is_none() {
            break;
        }
    }
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        // Asking for the time of the end gives the end.
        let _ = list.add_partition_offset(topic, *partition, Offset::End);
    }
    if let Ok(ends) = client.offsets_for_times(list, BROKER_TIMEOUT) {
        offsets.ends = known(&ends);
    }
    for (group, asked) in unknown {
        // Without a subscription it is no member.
        let own: Result<BaseConsumer, _> = asking.clone().set("group.id", group).create();
        let Ok(own) = own else { continue };
        let mut list = TopicPartitionList::with_capacity(asked.len());
        for (_, (topic, partition)) in asked {
            list.add_partition(topic, *partition);
        }
        let Ok(committed) = own.committed_offsets(list, BROKER_TIMEOUT) else { continue };
        let committed = known(&committed);
        let found = asked.iter().filter_map(|key| Some((key.clone(), *committed.get(&key.1)?)));
        offsets.committed.extend(found);
    }
    offsets
}

/// The offsets of a list that are known.
fn known(list: &TopicPartitionList) -> HashMap<PartitionId, i64> {
    let elements = list.elements().into_iter().filter(|element| element.error().is_ok());
    elements
        .filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some(((element.topic().into(), element.partition()), offset)),
            _ => None,
        })
        .collect()
}

/// A question whose answer blocks a thread: asked once at a time, and heard by whoever waits when it comes.
struct Question<T> {
    asked: Option<JoinHandle<T>>,
}

impl<T> Default for Question<T> {
    fn default() -> Self {
        Self { asked: None }
    }
}

impl<T: Send + 'static> Question<T> {
    /// The answer, or `None` where it takes longer; then the next one waits for the same.
    async fn ask(&mut self, timeout: Duration, question: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let asked = self.asked.get_or_insert_with(|| tokio::task::spawn_blocking(question));
        let answer = tokio::time::timeout(timeout, asked).await.ok()?;
        self.asked = None;
        answer.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relations::Awaited;

    #[test]
    fn what_waits_is_counted_by_relation_and_falls_to_nothing() {
        let relation = |field: &str| Awaited { model_key: "orders".into(), field: field.into(), value: String::new() };
        let count = |relation, deletion, messages, oldest_ms| Count { relation, deletion, messages, oldest_ms };
        let mut waiting = BTreeMap::new();
        let counts = vec![
            count(Some(relation("id")), false, 3, 70),
            count(Some(relation("id")), true, 2, 60),
            count(None, false, 1, 50),
            count(Some(relation("id")), false, 4, 40),
        ];
        note_waiting(&mut waiting, counts);
        let expected = [("deletion of orders", (2, 60)), ("orders.id", (7, 40)), ("unknown", (1, 50))];
        assert_eq!(waiting, expected.into_iter().map(|(name, known)| (name.to_owned(), known)).collect());
        note_waiting(&mut waiting, vec![]);
        assert_eq!(waiting.values().copied().collect::<Vec<_>>(), [(0, 0); 3], "series that are shown stay, and say 0");
    }

    #[tokio::test]
    async fn a_question_is_asked_once_until_it_is_answered() {
        let (answer, awaited) = std::sync::mpsc::channel::<u8>();
        let mut question = Question::default();
        assert_eq!(question.ask(Duration::from_millis(1), move || awaited.recv().unwrap()).await, None);
        answer.send(7).unwrap();
        let other = || panic!("the first question is still open");
        assert_eq!(question.ask(Duration::from_secs(60), other).await, Some(7));
        assert_eq!(question.ask(Duration::from_secs(60), || 8).await, Some(8));
    }
}
