//! A started application.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::error::RunError;
use super::relating::RunningDaemon;
use super::services::Services;
use crate::clock::Clock;
use crate::consumer::engine::Ended;
use crate::consumer::event::{Event, Snapshot};
use crate::consumer::progress::{Counts, Progress};
use crate::db::Database;
use crate::meters::{Endpoint, Observer, Watched};
use crate::producer::Kafka;
use crate::relations::Resolver;
use crate::schema_registry::EmbeddedRegistry;

/// How long closing a consumer may take after its batches have ended: librdkafka can wait for a broker that is away.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a broker may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A consumer that runs.
pub(crate) struct Running {
    pub(crate) name: Arc<str>,
    pub(crate) sender: mpsc::Sender<Event>,
    pub(crate) engine: JoinHandle<Ended>,
    /// Closed when the poll thread has closed the consumer.
    pub(crate) poll_thread: oneshot::Receiver<()>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) watched: Watched,
}

/// What a handle gives access to.
pub(crate) struct HandleParts {
    pub(crate) services: Arc<Services>,
    pub(crate) kafka: Kafka,
    pub(crate) database: Option<Database>,
    pub(crate) clock: Clock,
    pub(crate) resolver: Option<Resolver>,
    pub(crate) endpoint: Endpoint,
    pub(crate) observer: Observer,
}

/// What was done, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Messages that are done: applied, skipped, or in a dead letter topic.
    pub handled: u64,
    /// Of these, messages in a dead letter topic.
    pub dead_lettered: u64,
    /// Of these, messages that were skipped because a newer message of their key was there.
    pub superseded: u64,
    /// Messages that the embedded broker dropped before they were read.
    pub lost: u64,
}

type Result_ = Result<Summary, RunError>;

/// A started application. Dropping it does not stop it: [`shutdown`](Self::shutdown) does.
#[derive(Debug)]
pub struct Handle {
    consumers: Vec<ConsumerHandle>,
    services: Arc<Services>,
    kafka: Kafka,
    database: Option<Database>,
    clock: Clock,
    resolver: Option<Resolver>,
    metrics_address: Option<SocketAddr>,
    observer: Observer,
    ended: watch::Receiver<Option<Result_>>,
}

#[derive(Debug, Clone)]
pub(crate) struct ConsumerHandle {
    pub(crate) name: Arc<str>,
    sender: mpsc::Sender<Event>,
    progress: Arc<Progress>,
}

impl Handle {
    pub(crate) fn new(running: Vec<Running>, daemon: Option<RunningDaemon>, parts: HandleParts) -> Self {
        let HandleParts { services, kafka, database, clock, resolver, endpoint, observer } = parts;
        let metrics_address = endpoint.address();
        let consumers: Vec<_> = running
            .iter()
            .map(|r| ConsumerHandle { name: r.name.clone(), sender: r.sender.clone(), progress: r.progress.clone() })
            .collect();
        let (tell, ended) = watch::channel(None);
        let closing = Closing { services: services.clone(), kafka: kafka.clone(), endpoint };
        tokio::spawn(supervise(running, daemon, consumers.clone(), closing, tell));
        Self { consumers, services, kafka, database, clock, resolver, metrics_address, observer, ended }
    }

    /// Asks all consumers to finish what is under way, commit and leave their groups. The request is made at once;
    /// the future returned waits for its end, as [`wait`](Self::wait) does.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn shutdown(&self) -> impl Future<Output = Result<Summary, RunError>> + Send + use<> {
        let consumers = self.consumers.clone();
        let request = tokio::spawn(async move { ask_to_stop(&consumers).await });
        let ended = self.ended.clone();
        async move {
            let _ = request.await;
            wait(ended).await
        }
    }

    /// Waits until all consumers have ended.
    ///
    /// # Errors
    /// A consumer ended by a fatal error of its client, or not in order.
    pub async fn wait(&self) -> Result<Summary, RunError> {
        wait(self.ended.clone()).await
    }

    /// A connection that produces, for the rest of the program.
    #[must_use]
    pub fn kafka(&self) -> Kafka {
        self.kafka.clone()
    }

    /// The embedded schema registry's address, in embedded mode where the settings name no other.
    #[must_use]
    pub fn embedded_schema_registry_url(&self) -> Option<&str> {
        self.services.embedded_registry.as_ref().map(EmbeddedRegistry::url)
    }

    /// Where metrics are shown and probes answered, where the setting `metrics.listen` says so: with the port, also where
    /// that is 0 in the settings.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Sets the gauges of what stands somewhere (lag, buffers, connections, waiting messages) to what is so now: for
    /// programs that have a recorder of their own, before each export. Requests to `metrics.listen` do so by themselves.
    /// Takes a few seconds at most; what does not answer in time keeps its value.
    pub async fn observe(&self) {
        self.observer.observe().await;
    }

    /// The embedded broker's address, in embedded mode.
    #[must_use]
    pub fn embedded_bootstrap_servers(&self) -> Option<&str> {
        self.services.embedded.as_ref().map(|broker| broker.bootstrap_servers())
    }

    /// Asks all consumers to end, without waiting; for `Drop`.
    #[cfg(feature = "testing")]
    pub(crate) fn ask_to_stop_now(&self) {
        for consumer in &self.consumers {
            // A full channel means an engine at work, which its runtime ends.
            let _ = consumer.sender.try_send(Event::Shutdown);
        }
    }

    /// What was done so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        summary(self.consumers.iter().map(|consumer| consumer.progress.counts()))
    }

    /// How many messages the topics have beyond what is done, as the brokers say now. Partitions that do not answer
    /// count as none.
    pub(crate) async fn backlog(&self) -> u64 {
        let mut positions = Vec::new();
        for consumer in &self.consumers {
            let lanes = consumer.snapshot().await.map(|snapshot| snapshot.lanes).unwrap_or_default();
            positions.extend(lanes.into_iter().map(|(id, lane)| (id, lane.position)));
        }
        let Ok(config) = self.services.asking_config() else { return 0 };
        let count = move || -> Option<u64> {
            let client: BaseConsumer = config.create().ok()?;
            let left = positions.into_iter().filter_map(|((topic, partition), position)| {
                let (low, high) = client.fetch_watermarks(&topic, partition, ANSWER_TIMEOUT).ok()?;
                u64::try_from(high - position.unwrap_or(low)).ok()
            });
            Some(left.sum())
        };
        tokio::task::spawn_blocking(count).await.ok().flatten().unwrap_or(0)
    }

    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    pub(crate) fn consumers(&self) -> &[ConsumerHandle] {
        &self.consumers
    }

    pub(crate) fn database(&self) -> Option<&Database> {
        self.database.as_ref()
    }

    /// What resolves relations, where there may be any.
    pub(crate) fn resolver(&self) -> Option<&Resolver> {
        self.resolver.as_ref()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}

impl ConsumerHandle {
    /// How the consumer stands; `None` when it has ended.
    pub(crate) async fn snapshot(&self) -> Option<Snapshot> {
        let (answer, snapshot) = oneshot::channel();
        self.sender.send(Event::Snapshot(answer)).await.ok()?;
        snapshot.await.ok()
    }
}

async fn wait(mut ended: watch::Receiver<Option<Result_>>) -> Result_ {
    match ended.wait_for(Option::is_some).await {
        Ok(result) => result.clone().unwrap_or_else(|| Ok(Summary::default())),
        // The supervisor is gone only with the runtime.
        Err(_) => Ok(Summary::default()),
    }
}

fn summary(counts: impl Iterator<Item = Counts>) -> Summary {
    counts.fold(Summary::default(), |sum, counts| Summary {
        handled: sum.handled + counts.handled,
        dead_lettered: sum.dead_lettered + counts.dead_lettered,
        superseded: sum.superseded + counts.superseded,
        lost: sum.lost + counts.lost,
    })
}

async fn ask_to_stop(consumers: &[ConsumerHandle]) {
    for consumer in consumers {
        // Ended already: nothing to ask.
        let _ = consumer.sender.send(Event::Shutdown).await;
    }
}

/// What is open until all consumers have ended.
struct Closing {
    services: Arc<Services>,
    kafka: Kafka,
    endpoint: Endpoint,
}

/// Waits for the consumers. One that ends by a fatal error takes the others with it, after they have drained, and so
/// does the producer: a service that does half of its work is worse than one that is started again.
async fn supervise(
    running: Vec<Running>,
    daemon: Option<RunningDaemon>,
    consumers: Vec<ConsumerHandle>,
    closing: Closing,
    tell: watch::Sender<Option<Result_>>,
) {
    let Closing { services, kafka, endpoint } = closing;
    let (one_ended, mut ends) = mpsc::channel(running.len().max(1));
    for Running { name, engine, poll_thread, .. } in running {
        let one_ended = one_ended.clone();
        tokio::spawn(async move {
            let ended = engine.await.unwrap_or_else(|e| Ended::Fatal(format!("a fault of ours: {e}")));
            close(&name, poll_thread).await;
            let _ = one_ended.send((name, ended)).await;
        });
    }
    drop(one_ended);
    let mut result = Ok(());
    let producer = kafka.producer().clone();
    let mut producer_failed = std::pin::pin!(producer.failed());
    let mut producer_error = None;
    loop {
        let ended = tokio::select! {
            ended = ends.recv() => ended,
            message = &mut producer_failed, if producer_error.is_none() => {
                producer_error = Some(log(RunError::Producer { message }));
                ask_to_stop(&consumers).await;
                continue;
            }
        };
        let Some((consumer, ended)) = ended else { break };
        let consumer = consumer.to_string();
        let error = match ended {
            Ended::Drained => continue,
            Ended::Abandoned { batches } => RunError::Abandoned { consumer, batches },
            Ended::Fatal(message) => {
                ask_to_stop(&consumers).await;
                RunError::Fatal { consumer, message }
            }
        };
        result = result.and(Err(log(error)));
    }
    if let Some(daemon) = daemon {
        daemon.end(services.settings.shutdown_timeout).await;
    }
    // A consumer that could not go on because of it says more.
    let result = result.and_then(|()| producer_error.map_or(Ok(()), Err));
    let flushed = tokio::task::spawn_blocking(move || kafka.producer().flush(CLOSE_TIMEOUT)).await;
    if let Ok(Err(error)) = flushed {
        tracing::warn!("{error}");
    }
    let counts = summary(consumers.iter().map(|consumer| consumer.progress.counts()));
    // It has told of the end as long as there was something to tell.
    endpoint.close();
    // Until here the embedded broker is needed: a client that closes without its broker waits long.
    drop(services);
    let _ = tell.send(Some(result.map(|()| counts)));
}

fn log(error: RunError) -> RunError {
    tracing::error!("{error}");
    error
}

/// Waits for the poll thread, which closes the consumer, within a bound.
async fn close(name: &str, poll_thread: oneshot::Receiver<()>) {
    if tokio::time::timeout(CLOSE_TIMEOUT, poll_thread).await.is_err() {
        tracing::warn!(
            consumer = name,
            "the client did not close within {} s; its group will notice when the session times out",
            CLOSE_TIMEOUT.as_secs()
        );
    }
}
