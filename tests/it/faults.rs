//! Faults on the embedded broker: it goes away, refuses, is slow, takes partitions away. What is on its way to a retry
//! topic stays, nothing is tried sooner or more often than it is declared, and closing ends.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::Handle;
use django_kafka_rs::embedded::Request;
use django_kafka_rs::prelude::*;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;
use tokio::sync::Semaphore;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
const DEADLINE: Duration = Duration::from_secs(60);

// Codes of Kafka's protocol.
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
const MESSAGE_TOO_LARGE: i16 = 10;
const NOT_ENOUGH_REPLICAS: i16 = 19;
const UNKNOWN_MEMBER_ID: i16 = 25;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;

diesel::table! { pets (id) { id -> BigInt, name -> Text, } }

/// What handlers saw, as value and attempt, and a gate that each of them goes through.
struct Shared {
    seen: Mutex<Vec<(String, u32)>>,
    gate: Semaphore,
}

impl Shared {
    fn open() -> Arc<Self> {
        Self::with_permits(Semaphore::MAX_PERMITS)
    }

    fn closed() -> Arc<Self> {
        Self::with_permits(0)
    }

    fn with_permits(permits: usize) -> Arc<Self> {
        Arc::new(Self { seen: Mutex::default(), gate: Semaphore::new(permits) })
    }

    fn unlock(&self) {
        self.gate.add_permits(1_000);
    }

    fn attempts(&self, value: &str) -> Vec<u32> {
        self.seen.lock().unwrap().iter().filter(|(found, _)| found == value).map(|(_, attempt)| *attempt).collect()
    }

    /// Notes the message, goes through the gate, and fails on what begins with `bad`.
    async fn handle(&self, value: String, attempt: u32) -> ConsumeResult {
        self.seen.lock().unwrap().push((value.clone(), attempt));
        self.gate.acquire().await?.forget();
        if value.starts_with("bad") { Err(format!("{value} is refused").into()) } else { Ok(()) }
    }
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        tokio::task::yield_now().await;
    }
}

fn partitions(count: u32) -> Settings {
    let mut settings = Settings::default();
    settings.embedded.partitions = count;
    settings
}

async fn put(app: &TestApp, topic: &str, value: &str, partition: i32) {
    app.produce_with(topic, "key", value, Headers::new(), Some(partition)).await.unwrap();
}

// ---- Hops

#[topic(name = "hops", retry(max_retries = 1, delay = "1m", blocking = false), register = false)]
struct Hops;
impl TopicConsumer for Hops {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        cx.state::<Arc<Shared>>().handle(record.value()?, record.attempt()).await
    }
}

#[consumer(group = "hopping", topics(Hops))]
struct Hopping;

/// A message that fails, and one behind it, with the gate still closed before the first of them.
async fn a_hop_is_near(shared: &Arc<Shared>) -> TestApp {
    let mut settings = partitions(1);
    // No fault here is long enough that the group takes the partition away, and has it handled once more.
    settings.consumer_config.set("session.timeout.ms", "60000");
    let app = App::builder().consumer(Hopping).settings(settings).state(shared.clone());
    let app = TestApp::start(app).await.unwrap();
    put(&app, "hops", "bad", 0).await;
    put(&app, "hops", "good", 0).await;
    until("the handler has the message", async || !shared.attempts("bad").is_empty()).await;
    app
}

/// The message is in the retry topic once, is retried once when its time has come, and is then a dead letter; the one
/// behind it was handled.
async fn it_hopped_once(app: &TestApp, shared: &Shared) {
    app.settle().await.unwrap();
    assert_eq!(app.retries("hops").await.unwrap().len(), 1);
    assert_eq!(shared.attempts("good"), [0]);
    app.advance(Duration::from_secs(60)).await;
    app.settle().await.unwrap();
    assert_eq!(shared.attempts("bad"), [0, 1]);
    assert_eq!(app.dead_letters("hops").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hop_that_is_refused_some_times_arrives_once() {
    let shared = Shared::closed();
    let app = a_hop_is_near(&shared).await;
    app.broker().refuse_next(Request::Produce, &[TOPIC_AUTHORIZATION_FAILED; 3]);
    shared.unlock();
    it_hopped_once(&app, &shared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hop_to_a_broker_that_lacks_replicas_arrives_once() {
    let shared = Shared::closed();
    let app = a_hop_is_near(&shared).await;
    app.broker().refuse_next(Request::Produce, &[NOT_ENOUGH_REPLICAS; 3]);
    shared.unlock();
    it_hopped_once(&app, &shared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hop_that_is_too_large_at_first_arrives_once() {
    let shared = Shared::closed();
    let app = a_hop_is_near(&shared).await;
    app.broker().refuse_next(Request::Produce, &[MESSAGE_TOO_LARGE; 2]);
    shared.unlock();
    it_hopped_once(&app, &shared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hop_waits_for_a_broker_that_is_away_and_counts_as_handled_only_then() {
    let shared = Shared::closed();
    let app = a_hop_is_near(&shared).await;
    app.broker().go_down();
    shared.unlock();
    // Longer than it takes where the broker is there.
    let later = Instant::now() + Duration::from_secs(2);
    until("time passes", async || Instant::now() > later).await;
    assert_eq!(app.summary().handled, 0, "nothing is passed before the hop is acknowledged");
    app.broker().come_up();
    it_hopped_once(&app, &shared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_is_of_no_more_use_ends_the_process() {
    let shared = Shared::closed();
    let app = a_hop_is_near(&shared).await;
    app.broker().refuse_next(Request::Produce, &[OUT_OF_ORDER_SEQUENCE_NUMBER]);
    shared.unlock();
    let ended = tokio::time::timeout(DEADLINE, app.handle().wait()).await.expect("it ends");
    let why = ended.unwrap_err().to_string();
    assert!(why.contains("consumer `Hopping` ended") && why.contains("Fatal"), "{why}");
    assert_eq!(app.summary().handled, 0, "the next process handles the message again");
}

#[tokio::test(flavor = "multi_thread")]
async fn hops_of_a_batch_are_awaited_together() {
    const MESSAGES: usize = 200;
    let shared = Shared::closed();
    let app = a_hop_is_near(&shared).await;
    for n in 2..MESSAGES {
        put(&app, "hops", &format!("bad {n}"), 0).await;
    }
    // One after the other they would take minutes.
    app.broker().answer_after(Duration::from_secs(1));
    shared.unlock();
    until("all are in the retry topic", async || app.summary().handled >= MESSAGES as u64).await;
    app.broker().answer_after(Duration::ZERO);
    app.settle().await.unwrap();
    assert_eq!(app.retries("hops").await.unwrap().len(), MESSAGES - 1);
}

// ---- Waiting in place

#[topic(name = "steps", retry(max_retries = 2, delay = "1m"), register = false)]
struct Steps;
impl TopicConsumer for Steps {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        cx.state::<Arc<Shared>>().handle(record.value()?, record.attempt()).await
    }
}

#[consumer(group = "stepping", topics(Steps))]
struct Stepping;

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_message_neither_resets_nor_shortens_the_attempts_of_another_partition() {
    let shared = Shared::open();
    let app = App::builder().consumer(Stepping).settings(partitions(3)).state(shared.clone());
    let app = TestApp::start(app).await.unwrap();
    put(&app, "steps", "bad one", 0).await;
    app.settle().await.unwrap();
    app.advance(Duration::from_secs(30)).await;
    put(&app, "steps", "bad two", 1).await;
    app.settle().await.unwrap();
    let mut counts = vec![];
    for second in (30..270).step_by(10) {
        // Healthy messages all the while, on a partition of their own.
        put(&app, "steps", "good", 2).await;
        app.settle().await.unwrap();
        let count = [shared.attempts("bad one").len(), shared.attempts("bad two").len()];
        if counts.last().is_none_or(|(_, last)| *last != count) {
            counts.push((second, count));
        }
        app.advance(Duration::from_secs(10)).await;
    }
    assert_eq!(counts, [(30, [1, 1]), (60, [2, 1]), (90, [2, 2]), (120, [3, 2]), (150, [3, 3])]);
    assert_eq!(shared.attempts("bad one"), [0, 1, 2]);
    assert_eq!(shared.attempts("bad two"), [0, 1, 2]);
    assert_eq!(app.dead_letters("steps").await.unwrap().len(), 2);
}

/// Another member of the same group on the same broker, with a clock of its own.
async fn another_member(app: &TestApp, shared: &Arc<Shared>) -> Handle {
    let mut settings = Settings::default();
    settings.global_config.set("bootstrap.servers", app.handle().embedded_bootstrap_servers().unwrap());
    for (property, value) in
        [("session.timeout.ms", "1300"), ("heartbeat.interval.ms", "50"), ("auto.offset.reset", "earliest")]
    {
        settings.consumer_config.set(property, value);
    }
    let app = App::builder().consumer(Stepping).settings(settings).state(shared.clone());
    app.start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_waits_is_revoked_and_comes_back_neither_paused_nor_early() {
    let shared = Shared::open();
    let mut settings = partitions(4);
    settings.batch.buffer_messages = 5;
    let app = App::builder().consumer(Stepping).settings(settings).state(shared.clone());
    let app = TestApp::start(app).await.unwrap();
    // The buffers are full behind the failing messages, so their partitions are paused.
    for partition in 0..4 {
        put(&app, "steps", &format!("bad {partition}"), partition).await;
        for _ in 0..20 {
            put(&app, "steps", &format!("good {partition}"), partition).await;
        }
    }
    let tried = |partition: i32| shared.attempts(&format!("bad {partition}")).len();
    until("all have failed once", async || (0..4).all(|partition| tried(partition) == 1)).await;
    // The clock goes on by itself too.
    app.advance(Duration::from_secs(20)).await;

    // All are revoked; some come back, and the rest when the other one has gone.
    let shared_by_other = Shared::open();
    let other = another_member(&app, &shared_by_other).await;
    until("the other one has partitions", async || !shared_by_other.seen.lock().unwrap().is_empty()).await;
    other.shutdown().await.unwrap();
    let later = Instant::now() + Duration::from_secs(3);
    until("all are back", async || app.assigned().await == 4 && Instant::now() > later).await;
    assert!((0..4).all(|partition| tried(partition) == 1), "tried before its time: {:?}", shared.seen.lock().unwrap());

    for _ in 0..3 {
        app.advance(Duration::from_secs(60)).await;
        app.settle().await.unwrap();
    }
    for partition in 0..4 {
        assert_eq!(shared.attempts(&format!("bad {partition}")), [0, 1, 2], "no attempt is forgotten");
        assert_eq!(shared.attempts(&format!("good {partition}")), [0; 20]);
    }
    assert_eq!(app.dead_letters("steps").await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_of_hours_does_not_break_the_poll_interval() {
    const POLL_INTERVAL_MS: u64 = 2_000;
    let shared = Shared::open();
    let mut settings = partitions(2);
    settings.batch.buffer_messages = 5;
    settings.consumer_config.set("max.poll.interval.ms", POLL_INTERVAL_MS.to_string());
    let app = App::builder().consumer(Patient).settings(settings).state(shared.clone());
    let app = TestApp::start(app).await.unwrap();
    put(&app, "hours", "bad", 0).await;
    for n in 0..20 {
        put(&app, "hours", &format!("behind {n}"), 0).await;
    }
    until("it has failed", async || shared.attempts("bad") == [0]).await;
    let later = Instant::now() + Duration::from_millis(3 * POLL_INTERVAL_MS);
    until("time passes", async || Instant::now() > later).await;
    put(&app, "hours", "beside", 1).await;
    until("the other partition goes on", async || shared.attempts("beside") == [0]).await;
    // Had the group taken the partition away, it would have been read and tried again.
    assert_eq!(shared.attempts("bad"), [0]);
    app.advance(Duration::from_secs(5 * 60 * 60)).await;
    app.settle().await.unwrap();
    assert_eq!(shared.attempts("bad"), [0, 1]);
    assert_eq!(shared.attempts("behind 19"), [0]);
}

#[topic(name = "hours", retry(max_retries = 1, delay = "5h"), register = false)]
struct Hours;
impl TopicConsumer for Hours {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        cx.state::<Arc<Shared>>().handle(record.value()?, record.attempt()).await
    }
}

#[consumer(group = "patient", topics(Hours))]
struct Patient;

// ---- Partitions that are lost

#[topic(name = "writes", register = false)]
struct Writes;
impl TopicConsumer for Writes {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let shared = cx.state::<Arc<Shared>>();
        let value = record.value()?;
        shared.handle(value.clone(), record.attempt()).await?;
        cx.sqlite(move |conn| {
            let count: i64 = pets::table.count().get_result(conn)?;
            diesel::insert_into(pets::table).values((pets::id.eq(count), pets::name.eq(value))).execute(conn)
        })
        .await?;
        Ok(())
    }
}

#[consumer(group = "writing", topics(Writes))]
struct Writing;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_hand_of_a_lost_partition_commits_nothing_and_is_handled_again() {
    let shared = Shared::closed();
    let app = App::builder().consumer(Writing).settings(partitions(1)).migrations(MIGRATIONS).state(shared.clone());
    let app = TestApp::start(app).await.unwrap();
    put(&app, "writes", "ann", 0).await;
    until("the handler has it", async || shared.attempts("ann").len() == 1).await;
    // The group does not know this member any more: its partitions are lost, and it joins again.
    app.broker().refuse_next(Request::Heartbeat, &[UNKNOWN_MEMBER_ID]);
    until("it is handled again", async || shared.attempts("ann").len() == 2).await;
    // The first one, which is in the lost batch, goes on, and so does the second.
    shared.unlock();
    app.settle().await.unwrap();
    let names: Vec<String> = app.sqlite(|conn| pets::table.select(pets::name).load(conn)).await.unwrap();
    assert_eq!(names, ["ann"], "written once");
    assert!(app.dead_letters("writes").await.unwrap().is_empty());
    assert_eq!(shared.attempts("ann"), [0, 0], "that it was taken away is no failure");
}

// ---- Closing

/// `close` ends, though the broker is away: what waits for the broker is given up after `shutdown_timeout`.
async fn closes(app: TestApp) -> Result<(), String> {
    let ended = tokio::time::timeout(DEADLINE, app.shutdown()).await;
    ended
        .expect("within its bounds: shutdown_timeout, ten seconds to close, ten to flush")
        .map(drop)
        .map_err(|e| e.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_with_the_broker_away() {
    let shared = Shared::open();
    let app = App::builder().consumer(Hopping).consumer(Stepping).settings(partitions(2)).state(shared.clone());
    let app = TestApp::start(app).await.unwrap();
    put(&app, "hops", "bad", 0).await;
    put(&app, "steps", "bad", 0).await;
    app.settle().await.unwrap();
    app.broker().go_down();
    closes(app).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_gives_up_a_hop_whose_broker_is_away() {
    let shared = Shared::closed();
    let mut settings = partitions(1);
    settings.shutdown_timeout = Duration::from_secs(1);
    let app = App::builder().consumer(Hopping).settings(settings).state(shared.clone());
    let app = TestApp::start(app).await.unwrap();
    put(&app, "hops", "bad", 0).await;
    until("the handler has the message", async || !shared.attempts("bad").is_empty()).await;
    app.broker().go_down();
    shared.unlock();
    let why = closes(app).await.unwrap_err();
    assert!(why.contains("1 batch"), "it says what was left: {why}");
}
