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
