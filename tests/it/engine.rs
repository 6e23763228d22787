//! The engine and the handlers' side of it, on the embedded broker: which topics, in which order, how much at once, and
//! what a handler can do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use django_kafka_rs::prelude::*;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;
use tokio::sync::Semaphore;

const DEADLINE: Duration = Duration::from_secs(30);

/// What handlers saw, as `topic[partition] value`, and a gate that each of them goes through.
struct Shared {
    seen: Mutex<Vec<String>>,
    /// One permit lets one message through.
    gate: Semaphore,
}

impl Shared {
    fn open() -> Arc<Self> {
        Self::with_permits(Semaphore::MAX_PERMITS)
    }

    fn with_permits(permits: usize) -> Arc<Self> {
        Arc::new(Self { seen: Mutex::default(), gate: Semaphore::new(permits) })
    }

    fn saw(&self, text: String) {
        self.seen.lock().unwrap().push(text);
    }

    fn all(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn sorted(&self) -> Vec<String> {
        let mut all = self.all();
        all.sort();
        all
    }
}

fn one_partition() -> Settings {
    let mut settings = Settings::default();
    settings.embedded.partitions = 1;
    settings
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
}

// ---- Which topics

#[topic(name = "^zoo\\..*", register = false)]
struct AnyAnimal;
impl TopicConsumer for AnyAnimal {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let value = record.value()?;
        cx.state::<Arc<Shared>>().saw(format!("any {} {value}", record.topic()));
        if value == "bites" { Err("it bites".into()) } else { Ok(()) }
    }
}

#[topic(name = "zoo.cats", register = false)]
struct Cats;
impl TopicConsumer for Cats {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        cx.state::<Arc<Shared>>().saw(format!("cats {}", record.value()?));
        Ok(())
    }
}

// The pattern matches this group's own dead letter topics, `zoo.zoo.dogs.dlt`.
#[consumer(group = "zoo", topics(AnyAnimal, Cats))]
struct Zoo;

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_takes_all_but_what_is_named_and_its_own_dead_letters() {
    let shared = Shared::open();
    let app = TestApp::start(App::builder().consumer(Zoo).state(shared.clone())).await.unwrap();
    app.produce("zoo.cats", "1", "tom").await.unwrap();
    app.produce("zoo.dogs", "1", "rex").await.unwrap();
    app.produce("zoo.dogs", "2", "bites").await.unwrap();
    app.produce("farm.dogs", "3", "not ours").await.unwrap();
    app.settle().await.unwrap();
    let letters = app.dead_letters("zoo.dogs").await.unwrap();
    assert_eq!(letters.iter().map(|l| l.dead_letter_topic.as_str()).collect::<Vec<_>>(), ["zoo.zoo.dogs.dlt"]);
    // Were the dead letter consumed, it would come before this one of a later topic.
    app.produce("zoo.owls", "4", "archimedes").await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(shared.sorted(), ["any zoo.dogs bites", "any zoo.dogs rex", "any zoo.owls archimedes", "cats tom"]);
}

// ---- Consumers side by side

#[topic(name = "news", register = false)]
struct News;
impl TopicConsumer for News {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let value = record.value()?;
        cx.state::<Arc<Shared>>().saw(value.clone());
        if value == "hoax" { Err(ConsumeError::dead_letter("a hoax")) } else { Ok(()) }
    }
}

#[consumer(group = "readers", topics(News))]
struct Readers;
#[consumer(group = "archive", topics(News))]
struct Archive;

#[tokio::test(flavor = "multi_thread")]
async fn each_group_gets_every_message() {
    let shared = Shared::open();
    let app = TestApp::start(App::builder().consumer(Readers).consumer(Archive).state(shared.clone())).await.unwrap();
    for value in ["a", "hoax", "b"] {
        app.produce("news", "key", value).await.unwrap();
    }
    app.settle().await.unwrap();
    assert_eq!(shared.sorted(), ["a", "a", "b", "b", "hoax", "hoax"]);
    let letters = app.dead_letters("news").await.unwrap();
    let mut topics: Vec<_> = letters.iter().map(|l| l.dead_letter_topic.as_str()).collect();
    topics.sort_unstable();
    assert_eq!(topics, ["archive.news.dlt", "readers.news.dlt"]);
    assert_eq!(app.shutdown().await.unwrap().handled, 6);
}

// ---- How much at once

#[topic(name = "flood", format = bytes, register = false)]
struct Flood;
impl TopicConsumer for Flood {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let shared = cx.state::<Arc<Shared>>();
        shared.gate.acquire().await?.forget();
        let value = record.value()?;
        let number = String::from_utf8_lossy(value.get(..6).unwrap_or_default()).into_owned();
        shared.saw(format!("{} {number}", record.partition()));
        Ok(())
    }
}

#[consumer(group = "slow", topics(Flood), batch(max = 5), workers = 2)]
struct Slow;

/// A numbered message of this many bytes that does not compress.
fn numbered(number: usize, bytes: usize) -> Vec<u8> {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut message = format!("{number:06}").into_bytes();
    while message.len() < bytes {
        let mut hasher = DefaultHasher::new();
        (number, message.len()).hash(&mut hasher);
        message.extend(hasher.finish().to_le_bytes());
    }
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_handler_holds_partitions_back_and_loses_nothing() {
    const EACH: usize = 2_000;
    let shared = Shared::with_permits(0);
    let mut settings = Settings::default();
    settings.embedded.partitions = 3;
    settings.batch.buffer_messages = 10;
    let app = TestApp::start(App::builder().consumer(Slow).settings(settings).state(shared.clone())).await.unwrap();
    let app = Arc::new(app);
    let mut sends = tokio::task::JoinSet::new();
    for partition in 0..3 {
        let app = app.clone();
        sends.spawn(async move {
            let mut queued = tokio::task::JoinSet::new();
            for number in 0..EACH {
                let sent = app.clone();
                queued.spawn(async move {
                    let value = numbered(number, 500);
                    let sent = sent.produce_with("flood", (), value, Headers::new(), Some(partition));
                    sent.await.unwrap().offset
                });
            }
            queued.join_all().await;
        });
    }
    sends.join_all().await;
    shared.gate.add_permits(EACH);
    until("a third of the messages", async || shared.all().len() == EACH).await;
    shared.gate.add_permits(2 * EACH);
    app.settle().await.unwrap();
    let mut by_partition: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for seen in shared.all() {
        let (partition, number) = seen.split_once(' ').unwrap();
        by_partition.entry(partition.to_owned()).or_default().push(number.to_owned());
    }
    let counts: Vec<_> = by_partition.values().map(Vec::len).collect();
    assert_eq!(counts, [EACH; 3]);
    for numbers in by_partition.values_mut() {
        // Tasks produced side by side, so the order of the log is not that of the numbers; none is twice.
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), EACH);
    }
    assert_eq!((app.summary().handled, app.summary().lost), (3 * EACH as u64, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_embedded_broker_drops_is_counted() {
    let shared = Shared::with_permits(0);
    let mut settings = one_partition();
    settings.batch.buffer_messages = 5;
    let app = TestApp::start(App::builder().consumer(Slow).settings(settings).state(shared.clone())).await.unwrap();
    // 12 MB, one after the other, while nothing is handled; the broker keeps 5.
    for number in 0..240 {
        app.produce("flood", (), numbered(number, 50_000)).await.unwrap();
    }
    shared.gate.add_permits(240);
    app.settle().await.unwrap();
    let summary = app.summary();
    assert!(summary.lost > 0, "{summary:?}");
    assert_eq!(summary.handled + summary.lost, 240);
    let seen = shared.all();
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!((seen.first().unwrap().as_str(), seen.last().unwrap().as_str()), ("0 000000", "0 000239"));
}

#[topic(name = "slow.steps", register = false)]
struct SlowSteps;
impl TopicConsumer for SlowSteps {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let shared = cx.state::<Arc<Shared>>();
        let value: String = record.value()?;
        shared.saw(format!("{value} begins"));
        shared.gate.acquire().await?.forget();
        Ok(())
    }
}

#[consumer(group = "steps", topics(SlowSteps))]
struct Steps;

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_kept_while_a_long_batch_goes_on() {
    let shared = Shared::with_permits(0);
    let app =
        TestApp::start(App::builder().consumer(Steps).settings(one_partition()).state(shared.clone())).await.unwrap();
    for value in ["a", "b", "c", "d", "e"] {
        app.produce("slow.steps", "key", value).await.unwrap();
    }
    // Each handler takes longer than a batch of handlers is meant to; what is behind it does not wait for the end.
    let handled = async || usize::try_from(app.summary().handled).unwrap();
    for n in 1..=5 {
        // A permit that is there before would let it pass at once, and the next of its batch hold both.
        until(&format!("{n} have begun"), async || shared.all().len() == n).await;
        let longer = Instant::now() + Duration::from_millis(600);
        until("the time passes", async || Instant::now() > longer).await;
        shared.gate.add_permits(1);
        until(&format!("{n} are counted as handled"), async || handled().await >= n).await;
    }
    assert_eq!(shared.all(), ["a", "b", "c", "d", "e"].map(|value| format!("{value} begins")));
}

// ---- Dead letters of handlers

#[topic(name = "raw", format = bytes, retry(max_retries = 1, delay = "1m"), register = false)]
struct Raw;
impl TopicConsumer for Raw {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        let value: Option<Vec<u8>> = record.value_opt()?;
        Err(format!("refused, and that {} bytes long", value.map_or(0, |value| value.len())).into())
    }
}

#[consumer(group = "raws", topics(Raw))]
struct Raws;

#[tokio::test(flavor = "multi_thread")]
async fn null_and_empty_are_told_apart_in_dead_letters() {
    let app = TestApp::start(App::builder().consumer(Raws).settings(one_partition())).await.unwrap();
    let empty = || Some(Vec::new());
    let messages =
        [(None, None), (None, empty()), (empty(), None), (empty(), empty()), (Some(vec![0]), Some(vec![255]))];
    let mut headers = Headers::new();
    for (name, value) in [("a", Some("1")), ("b", None), ("a", Some("")), ("a", None), ("", Some("x"))] {
        headers.push(name, value.map(|value| value.as_bytes().to_vec()));
    }
    for (key, value) in messages.clone() {
        app.produce_with("raw", key, value, headers.clone(), None).await.unwrap();
    }
    for _ in 0..=messages.len() {
        app.settle().await.unwrap();
        app.advance(Duration::from_secs(60)).await;
    }
    let letters = app.dead_letters("raw").await.unwrap();
    assert_eq!(letters.iter().map(|l| (l.key.clone(), l.value.clone())).collect::<Vec<_>>(), messages);
    for letter in letters {
        assert_eq!(letter.headers.iter().take(5).collect::<Vec<_>>(), headers.iter().collect::<Vec<_>>());
        assert_eq!(letter.attempts, 2);
    }
}
