//! Where partitions end, asked of the broker.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

/// How long the broker may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks where partitions end, by a client that is made when it is first needed.
pub(crate) struct Watermarks {
    config: ClientConfig,
    client: Mutex<Option<BaseConsumer>>,
}

impl Watermarks {
    /// `config`: of a consumer that may read the topics. No group is joined.
    pub(crate) fn new(mut config: ClientConfig) -> Self {
        for member in ["group.id", "group.instance.id", "group.protocol", "partition.assignment.strategy"] {
            config.remove(member);
        }
        Self { config, client: Mutex::new(None) }
    }

    /// The offset behind a partition's last message. Blocks, five seconds at most.
    ///
    /// # Errors
    /// The broker does not say, and why.
    pub(super) fn high(&self, topic: &str, partition: i32) -> Result<i64, String> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let client = match &mut *client {
            Some(client) => client,
            none => none.insert(self.config.create().map_err(|e| e.to_string())?),
        };
        client.fetch_watermarks(topic, partition, TIMEOUT).map(|(_, high)| high).map_err(|e| e.to_string())
    }
}

impl std::fmt::Debug for Watermarks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watermarks").finish_non_exhaustive()
    }
}
