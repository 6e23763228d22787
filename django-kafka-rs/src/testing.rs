//! Tests of your models, without services: a broker inside the test, and a database of its own.
//!
//! ```no_run
//! # use django_kafka_rs::{App, testing::TestApp};
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let app = TestApp::start(App::from_linked()).await?;
//! app.produce("shop.public.customers", r#"{"id":1}"#, r#"{"id":1,"name":"Ann"}"#).await?;
//! app.settle().await?;
//! assert!(app.dead_letters("shop.public.customers").await?.is_empty());
//! # Ok(()) }
//! ```

mod broker;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;

use self::broker::{Taken, Taker, TestMessage, ends, read_all, retry_group, topic_names};
use crate::app::{App, ConsumeOptions, Handle, Parts, RunError, StartError, Summary};
use crate::dead_letter;
use crate::embedded::EmbeddedBroker;
use crate::error::{ConsumeError, ProduceError};
use crate::producer::{Delivery, Outgoing};
use crate::record::Headers;
use crate::registry::ResolvedConsumer;
use crate::retry::message as retry;
use crate::topic::names::{DerivedNames, original_of};

/// How long one look waits for what is still queued.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long [`TestApp::settle`] waits at most.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What went wrong in the test's own machinery.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TestError(String);

/// A result of the test's own machinery.
pub type TestResult<T> = Result<T, TestError>;

/// Each as its text: a test only shows it.
macro_rules! from {
    ($($error:ty),*) => { $(
        impl From<$error> for TestError {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        }
    )* };
}
from!(
    &str,
    String,
    ConsumeError,
    ProduceError,
    StartError,
    RunError,
    rdkafka::error::KafkaError,
    regex::Error,
    tokio::task::JoinError
);

/// An application under test: consumers that run, the embedded broker, a temporary SQLite database with the
/// application's migrations applied.
///
/// The settings file of the working directory is not read; give `App::settings` what the test needs. Names of
/// topics are real ones, with their variables filled in. Ends when dropped.
#[derive(Debug)]
pub struct TestApp {
    handle: Handle,
    consumers: Vec<ResolvedConsumer>,
    /// Dropped last: what runs in it has ended then, or is about to.
    #[cfg(feature = "postgres")]
    schema: Option<crate::db::scratch::Scratch>,
}

/// Bytes of a key or a value as tests write them: text, JSON, bytes, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestBytes(Option<Vec<u8>>);

impl From<&str> for TestBytes {
    fn from(text: &str) -> Self {
        Self(Some(text.as_bytes().to_vec()))
    }
}
impl From<String> for TestBytes {
    fn from(text: String) -> Self {
        Self(Some(text.into_bytes()))
    }
}
impl From<&[u8]> for TestBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(Some(bytes.to_vec()))
    }
}
impl<const N: usize> From<&[u8; N]> for TestBytes {
    fn from(bytes: &[u8; N]) -> Self {
        Self(Some(bytes.to_vec()))
    }
}
impl From<Vec<u8>> for TestBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Some(bytes))
    }
}
impl From<serde_json::Value> for TestBytes {
    fn from(value: serde_json::Value) -> Self {
        Self(Some(value.to_string().into_bytes()))
    }
}
impl From<()> for TestBytes {
    /// A null key, or a tombstone.
    fn from((): ()) -> Self {
        Self(None)
    }
}
impl<T: Into<TestBytes>> From<Option<T>> for TestBytes {
    fn from(bytes: Option<T>) -> Self {
        bytes.map_or(Self(None), Into::into)
    }
}

/// A message in a dead letter topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The dead letter topic.
    pub dead_letter_topic: String,
    /// The topic the message was first read from.
    pub topic: String,
    /// The partition it was first read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes.
    pub value: Option<Vec<u8>>,
    /// All headers.
    pub headers: Headers,
    /// The error in one line.
    pub summary: String,
    /// The error with everything that caused it.
    pub detail: String,
    /// How many times it was tried.
    pub attempts: u32,
}

impl TestApp {
    /// Starts the application in embedded mode.
    ///
    /// # Errors
    /// As `App::start`.
    pub async fn start(app: App) -> Result<Self, StartError> {
        Self::start_parts(Parts::load_for_tests(app)?).await
    }

    /// The same with PostgreSQL: in a schema of its own, which is the connections' search path, and is dropped at the
    /// end. `url` is `postgres://…` of a database in which its user may create schemas.
    ///
    /// # Errors
    /// As `App::start`, or that no schema can be created there.
    #[cfg(feature = "postgres")]
    pub async fn start_with_postgres(app: App, url: &str) -> Result<Self, StartError> {
        let url = url.to_owned();
        let created = tokio::task::spawn_blocking(move || crate::db::scratch::Scratch::on(url)).await;
        let schema = created
            .map_err(|error| StartError::System(error.to_string()))?
            .map_err(|why| StartError::Database(format!("no schema for the test: {why}")))?;
        let mut parts = Parts::load_for_tests(app)?;
        parts.settings.database_url = Some(schema.url());
        let mut started = Self::start_parts(parts).await?;
        started.schema = Some(schema);
        Ok(started)
    }

    async fn start_parts(mut parts: Parts) -> Result<Self, StartError> {
        parts.settings.polling_frequency = Duration::from_millis(20);
        let consumers = parts.resolve(&[])?;
        let handle = parts.start(ConsumeOptions::default()).await?;
        Ok(Self {
            handle,
            consumers,
            #[cfg(feature = "postgres")]
            schema: None,
        })
    }

    /// Produces a message, and returns once the broker has it.
    ///
    /// # Errors
    /// The topic's name is not legal.
    pub async fn produce(
        &self,
        topic: &str,
        key: impl Into<TestBytes>,
        value: impl Into<TestBytes>,
    ) -> TestResult<Delivery> {
        self.produce_with(topic, key, value, Headers::new(), None).await
    }

    /// Produces a message with headers, to a partition where one is given.
    ///
    /// # Errors
    /// The topic's name is not legal.
    pub async fn produce_with(
        &self,
        topic: &str,
        key: impl Into<TestBytes>,
        value: impl Into<TestBytes>,
        headers: Headers,
        partition: Option<i32>,
    ) -> TestResult<Delivery> {
        let message = Outgoing {
            topic: topic.to_owned(),
            partition,
            timestamp_ms: None,
            key: key.into().0,
            value: value.into().0,
            headers,
        };
        self.handle.kafka().producer().send(&message).await.map_err(|refused| ProduceError::from(refused).into())
    }

    /// Returns when all that was produced has been handled, and only retries of a time to come remain.
    ///
    /// # Errors
    /// That is not so within a minute; the text says what is still under way.
    pub async fn settle(&self) -> TestResult<()> {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let Err(why) = self.is_settled().await? else { return Ok(()) };
            if Instant::now() > deadline {
                return Err(format!("not settled within {} s: {why}", SETTLE_TIMEOUT.as_secs()).into());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Moves the clock by which retries wait.
    #[expect(clippy::unused_async, reason = "awaited as every other step of a test is")]
    pub async fn advance(&self, by: Duration) {
        self.handle.clock().advance(by);
    }

    /// What is in the dead letter topics of this topic, whichever group's, in order.
    ///
    /// # Errors
    /// No consumer takes the topic.
    pub async fn dead_letters(&self, topic: &str) -> TestResult<Vec<DeadLetter>> {
        let settings = &self.handle.services().settings;
        let mut letters = Vec::new();
        for group in self.groups_of(topic)? {
            let name = DerivedNames { group: &group, topic, suffixes: settings.suffixes() }.dead_letter_topic();
            letters.extend(self.messages(&name).await?.into_iter().map(|message| dead_letter_of(&name, message)));
        }
        letters.sort_by_key(|letter| (letter.partition, letter.offset));
        Ok(letters)
    }

    /// What is in the retry topics of this topic, whichever group's, whether it was tried again or not: retry by
    /// retry, in order.
    ///
    /// # Errors
    /// No consumer takes the topic.
    pub async fn retries(&self, topic: &str) -> TestResult<Vec<Retry>> {
        let client = self.asking_client()?;
        let groups = self.groups_of(topic)?;
        let suffix = self.handle.services().settings.retry_topic_suffix.clone();
        let names = tokio::task::spawn_blocking(move || topic_names(&client)).await??;
        let mut retries = Vec::new();
        for name in names {
            for group in &groups {
                let Some(found) = original_of(&name, group, &suffix).filter(|found| found.topic == topic) else {
                    continue;
                };
                let number = found.number;
                let messages = self.messages(&name).await?;
                retries.extend(messages.into_iter().map(|message| Retry::new(&name, number, message)));
            }
        }
        retries.sort_by_key(|retry| retry.number);
        Ok(retries)
    }

    /// Runs `work` on the test's database, in a transaction, where that is PostgreSQL.
    ///
    /// # Errors
    /// What `work` returns, or that the database is another one.
    #[cfg(feature = "postgres")]
    pub async fn pg<T, E, F>(&self, work: F) -> TestResult<T>
    where
        F: FnOnce(&mut diesel::PgConnection) -> Result<T, E> + Send + 'static,
        E: Into<ConsumeError> + 'static,
        T: Send + 'static,
    {
        let database = self.handle.database().cloned().ok_or("the application has no database")?;
        let transaction = move || {
            database.write_transaction(|conn| match conn {
                crate::db::DbConn::Pg(conn) => work(conn).map_err(Into::<ConsumeError>::into),
                crate::db::DbConn::Sqlite(_) => Err("the test's database is SQLite: ask it by `sqlite`".into()),
            })
        };
        Ok(tokio::task::spawn_blocking(transaction).await??)
    }

    /// Runs `work` on the test's database, in a transaction, where that is SQLite.
    ///
    /// # Errors
    /// What `work` returns.
    pub async fn sqlite<T, E, F>(&self, work: F) -> TestResult<T>
    where
        F: FnOnce(&mut diesel::SqliteConnection) -> Result<T, E> + Send + 'static,
        E: Into<ConsumeError> + 'static,
        T: Send + 'static,
    {
        let database = self.handle.database().cloned().ok_or("the application has no database")?;
        let transaction = move || {
            database.write_transaction(|conn| match conn {
                crate::db::DbConn::Sqlite(conn) => work(conn).map_err(Into::<ConsumeError>::into),
                #[cfg(feature = "postgres")]
                crate::db::DbConn::Pg(_) => Err("the test's database is PostgreSQL: ask it by `pg`".into()),
            })
        };
        Ok(tokio::task::spawn_blocking(transaction).await??)
    }

    /// The broker, to let it go away, be slow, or refuse.
    #[must_use]
    pub fn broker(&self) -> &EmbeddedBroker {
        self.handle.services().embedded.as_deref().expect("a test application starts the embedded broker")
    }

    /// The handle of the application.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// How many partitions the consumers have now.
    pub async fn assigned(&self) -> usize {
        let mut count = 0;
        for consumer in self.handle.consumers() {
            count += consumer.snapshot().await.map_or(0, |snapshot| snapshot.lanes.len());
        }
        count
    }

    /// What was done so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.handle.summary()
    }

    /// Stops the application in order.
    ///
    /// # Errors
    /// It did not end in order.
    pub async fn shutdown(self) -> TestResult<Summary> {
        let ended = self.handle.shutdown();
        Ok(ended.await?)
    }

    /// All messages of a topic, read by a client without a group.
    pub(crate) async fn messages(&self, topic: &str) -> TestResult<Vec<TestMessage>> {
        let client = self.asking_client()?;
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || read_all(&client, &topic)).await?
    }

    /// The groups that take a topic.
    fn groups_of(&self, topic: &str) -> TestResult<BTreeSet<String>> {
        let takes = |name: &str| match name.strip_prefix('^') {
            None => name == topic,
            Some(_) => regex::Regex::new(name).is_ok_and(|pattern| pattern.is_match(topic)),
        };
        let declared = self.consumers.iter().filter(|consumer| !consumer.is_tracker());
        let taking = declared.filter(|consumer| consumer.topics.iter().any(|t| takes(&t.name)));
        let groups: BTreeSet<String> = taking.map(|consumer| consumer.group.clone()).collect();
        if groups.is_empty() {
            let known: Vec<&str> = self.consumers.iter().flat_map(|c| &c.topics).map(|t| t.name.as_str()).collect();
            return Err(format!("no consumer takes the topic `{topic}`; there are: {}", known.join(", ")).into());
        }
        Ok(groups)
    }

    fn asking_client(&self) -> TestResult<ClientConfig> {
        Ok(self.handle.services().asking_config()?)
    }

    /// `Ok(Err(why))`: not yet.
    async fn is_settled(&self) -> TestResult<Result<(), String>> {
        let before = match self.look().await {
            Ok(positions) => positions,
            Err(why) => return Ok(Err(why)),
        };
        // What handlers have enqueued counts as produced: it is among the ends once the broker has it.
        if let Err(why) = self.handle.kafka().flush(FLUSH_TIMEOUT).await {
            return Ok(Err(why.to_string()));
        }
        let client = self.asking_client()?;
        let suffixes = self.handle.services().settings.suffixes();
        let taken: Vec<Taken> = self.consumers.iter().map(|c| Taken::new(c, suffixes)).collect::<TestResult<_>>()?;
        let ends = tokio::task::spawn_blocking(move || ends(&client, &taken)).await??;
        for (taker, end) in &ends {
            let (group, id) = taker;
            let Some(delivered) = before.get(taker) else {
                return Ok(Err(format!("{}[{}] is not assigned to group `{group}` yet", id.0, id.1)));
            };
            // A topic's first message has offset 0: nothing delivered means an end of 0.
            if delivered + 1 < *end {
                return Ok(Err(format!("{}[{}] has been read up to {delivered} of {end}", id.0, id.1)));
            }
        }
        // Nothing moved meanwhile: what a handler produced is among the ends.
        Ok(match self.look().await {
            // A database that is away lets nothing go on: what waits for it waits for a time to come.
            Ok(after) if after == before => self.resolve().await.unwrap_or(Ok(())),
            Ok(_) => Err("messages are still coming".to_owned()),
            Err(why) => Err(why),
        })
    }

    /// The newest offset delivered of each partition to each group (-1: none), if every lane is settled.
    async fn look(&self) -> Result<BTreeMap<Taker, i64>, String> {
        let mut positions = BTreeMap::new();
        for consumer in self.handle.consumers() {
            let Some(snapshot) = consumer.snapshot().await else {
                return Err(format!("consumer `{}` has ended", consumer.name));
            };
            let group = self.group_of(&consumer.name);
            for (id, lane) in snapshot.lanes {
                if !lane.is_settled {
                    return Err(format!("{}[{}] has {} messages under way", id.0, id.1, lane.buffered.messages));
                }
                positions.insert((group.clone(), id), lane.delivered.unwrap_or(-1));
            }
        }
        Ok(positions)
    }

    /// The group of a running consumer.
    fn group_of(&self, name: &str) -> String {
        let declared = |name: &str| {
            self.consumers.iter().find(|consumer| consumer.declaration.type_name == name).map(|c| c.group.clone())
        };
        let of_retries = || name.strip_suffix(".retry").and_then(declared).map(|group| retry_group(&group));
        declared(name).or_else(of_retries).unwrap_or_default()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.handle.ask_to_stop_now();
    }
}

/// A message in a retry topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// The retry topic.
    pub retry_topic: String,
    /// Which retry it is, from 1.
    pub number: u32,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes.
    pub value: Option<Vec<u8>>,
    /// All headers.
    pub headers: Headers,
    /// The error's text.
    pub message: String,
}

impl Retry {
    fn new(topic: &str, number: u32, message: TestMessage) -> Self {
        let why = message.headers.get(retry::MESSAGE).map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        Self {
            retry_topic: topic.to_owned(),
            number,
            key: message.key,
            value: message.value,
            headers: message.headers,
            message: why,
        }
    }
}

fn dead_letter_of(name: &str, message: TestMessage) -> DeadLetter {
    let text = |header: &str| {
        message.headers.get(header).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
    };
    DeadLetter {
        dead_letter_topic: name.to_owned(),
        topic: text(dead_letter::TOPIC),
        partition: text(dead_letter::PARTITION).parse().unwrap_or(-1),
        offset: text(dead_letter::OFFSET).parse().unwrap_or(-1),
        summary: text(dead_letter::SUMMARY),
        detail: text(dead_letter::DETAIL),
        attempts: text(dead_letter::ATTEMPTS).parse().unwrap_or(0),
        key: message.key,
        value: message.value,
        headers: message.headers,
    }
}
