//! The embedded broker: librdkafka's mock cluster, in this process. For first minutes, examples and tests; it keeps
//! nothing when the process ends, and about 5 MiB a partition while it runs (older messages are dropped, which the
//! engine detects and says).

use std::ffi::{CStr, CString};

use rdkafka::ClientConfig;
use rdkafka::bindings as native;
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::types::{RDKafkaRespErr, RDKafkaType};

/// An error of the embedded broker.
#[derive(Debug, thiserror::Error)]
#[error("the embedded broker: {0}")]
pub struct EmbeddedError(String);

/// A broker in this process. Clients of this and other processes on this machine can connect to it.
pub struct EmbeddedBroker {
    // The cluster lives in this client and ends with it.
    client: Client<DefaultClientContext>,
    bootstrap_servers: String,
    partitions: i32,
}

impl std::fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedBroker").field("bootstrap_servers", &self.bootstrap_servers).finish_non_exhaustive()
    }
}

impl EmbeddedBroker {
    /// Starts one. [`create_topic`](Self::create_topic) makes topics of `partitions` partitions; a topic that is
    /// created by its first message has four.
    ///
    /// # Errors
    /// librdkafka cannot open a port on the loopback interface.
    pub fn start(partitions: i32) -> Result<Self, EmbeddedError> {
        let mut config = ClientConfig::new();
        config.set("test.mock.num.brokers", "1");
        // The client that holds the cluster also connects to it; what it logs about that is of no use to anyone.
        config.set("log_level", "3");
        let failed = |e: rdkafka::error::KafkaError| EmbeddedError(format!("it cannot be started: {e}"));
        let native_config = config.create_native_config().map_err(failed)?;
        let client = Client::new(&config, native_config, RDKafkaType::RD_KAFKA_PRODUCER, DefaultClientContext)
            .map_err(failed)?;
        let bootstrap_servers = prepare(&client)?;
        Ok(Self { client, bootstrap_servers, partitions })
    }

    /// Its address, as `bootstrap.servers` takes it.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Creates a topic. One that exists already keeps its partitions.
    ///
    /// # Errors
    /// The name is not legal.
    pub fn create_topic(&self, topic: &str) -> Result<(), EmbeddedError> {
        let name = CString::new(topic).map_err(|_| EmbeddedError(format!("topic name {topic:?} has a NUL byte")))?;
        // SAFETY: the cluster belongs to `self.client`, which lives; the name is copied by the call.
        #[expect(unsafe_code, reason = "the mock cluster's calls have no safe wrapper for a cluster owned so")]
        let error = unsafe {
            let cluster = native::rd_kafka_handle_mock_cluster(self.client.native_ptr());
            native::rd_kafka_mock_topic_create(cluster, name.as_ptr(), self.partitions, 1)
        };
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR | RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS => {
                Ok(())
            }
            other => Err(EmbeddedError(format!("topic `{topic}` cannot be created: {other:?}"))),
        }
    }
}

/// A request of Kafka's protocol that the embedded broker can be told to refuse.
#[cfg(feature = "testing")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Messages of a producer: retries and dead letters too.
    Produce,
    /// Messages for a consumer.
    Fetch,
    /// A member's sign of life.
    Heartbeat,
    /// Offsets that are committed.
    OffsetCommit,
}

/// Faults, for tests of what a program does about them.
#[cfg(feature = "testing")]
impl EmbeddedBroker {
    /// Cuts all connections and takes no new ones, until [`come_up`](Self::come_up). What it holds stays.
    pub fn go_down(&self) {
        self.with_cluster(|cluster| cluster.broker_down(ALL_BROKERS));
    }

    /// Takes connections again.
    pub fn come_up(&self) {
        self.with_cluster(|cluster| cluster.broker_up(ALL_BROKERS));
    }

    /// Lets each answer take this long. Zero is as fast as it can.
    pub fn answer_after(&self, delay: std::time::Duration) {
        self.with_cluster(|cluster| cluster.broker_round_trip_time(ALL_BROKERS, delay));
    }

    /// Answers the next requests of this kind with these errors, one each: codes of Kafka's protocol, as
    /// 29 = `TOPIC_AUTHORIZATION_FAILED`, 25 = `UNKNOWN_MEMBER_ID`, 19 = `NOT_ENOUGH_REPLICAS`. A code that librdkafka
    /// does not know counts as -1, `UNKNOWN_SERVER_ERROR`.
    pub fn refuse_next(&self, request: Request, codes: &[i16]) {
        use rdkafka::types::RDKafkaApiKey as Key;
        let key = match request {
            Request::Produce => Key::Produce,
            Request::Fetch => Key::Fetch,
            Request::Heartbeat => Key::Heartbeat,
            Request::OffsetCommit => Key::OffsetCommit,
        };
        let error = |code: &i16| {
            RDKafkaRespErr::try_from(i32::from(*code)).unwrap_or(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN)
        };
        let errors: Vec<RDKafkaRespErr> = codes.iter().map(error).collect();
        self.with_cluster(|cluster| {
            cluster.request_errors(key, &errors);
            Ok(())
        });
    }

    fn with_cluster(
        &self,
        act: impl FnOnce(&rdkafka::mocking::MockCluster<'_, DefaultClientContext>) -> Result<(), rdkafka::error::KafkaError>,
    ) {
        // Neither fails: the client was made with a cluster, and "all brokers" is no unknown one.
        let Some(cluster) = self.client.mock_cluster() else { return };
        if let Err(error) = act(&cluster) {
            tracing::error!("the embedded broker did not take the fault: {error}");
        }
    }
}

/// The mock cluster's word for all of them.
#[cfg(feature = "testing")]
const ALL_BROKERS: i32 = -1;

/// Makes the cluster quick: a group's first member need not wait three seconds for others.
fn prepare(client: &Client<DefaultClientContext>) -> Result<String, EmbeddedError> {
    // SAFETY: the client lives through all calls; the cluster is its own and not null when checked; the returned
    // text belongs to the cluster and is copied at once.
    #[expect(unsafe_code, reason = "these settings of the mock cluster have no safe wrapper")]
    unsafe {
        let cluster = native::rd_kafka_handle_mock_cluster(client.native_ptr());
        if cluster.is_null() {
            return Err(EmbeddedError("librdkafka made no mock cluster".into()));
        }
        native::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
        let servers = native::rd_kafka_mock_cluster_bootstraps(cluster);
        Ok(CStr::from_ptr(servers).to_string_lossy().into_owned())
    }
}

/// What clients of the embedded broker need, beside its address: a member that leaves or joins is noticed at once,
/// and what was produced before the first one joined is read. The broker has no past that one could want to skip.
pub(crate) const CONSUMER_CONFIG: &[(&str, &str)] = &[
    ("session.timeout.ms", "1300"),
    ("heartbeat.interval.ms", "50"),
    ("topic.metadata.refresh.interval.ms", "200"),
    ("auto.offset.reset", "earliest"),
];
