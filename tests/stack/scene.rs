//! A topic of a test's own, its replica, and the members of a group that keep it.

use std::path::Path;

use crate::harness::{Broker, Load, Replica, Service, ServiceConfig, address, fresh_name, handled};

/// How a group shares out its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Everybody gives up everything at each rebalance.
    Eager,
    /// Only what moves is given up.
    Cooperative,
    /// The broker decides (KIP-848).
    Consumer,
    /// Members keep their partitions over a restart.
    Static,
}

impl Protocol {
    /// The settings of one member.
    pub(crate) fn config(self, config: &ServiceConfig, member: &str) -> ServiceConfig {
        let set = |config: ServiceConfig, property: &str, value: &str| {
            config.set(&format!("CONSUMER_CONFIG__{property}"), value)
        };
        // What is committed is what a killed member handled: here it commits often.
        let mut config = set(config.clone(), "AUTO_COMMIT_INTERVAL_MS", "500");
        if self == Self::Consumer {
            // How long a session lasts is the broker's to say, and librdkafka refuses to be told.
            return set(config, "GROUP_PROTOCOL", "consumer");
        }
        config = set(config, "SESSION_TIMEOUT_MS", "6000");
        config = set(config, "HEARTBEAT_INTERVAL_MS", "500");
        match self {
            Self::Eager => set(config, "PARTITION_ASSIGNMENT_STRATEGY", "range"),
            Self::Cooperative => set(config, "PARTITION_ASSIGNMENT_STRATEGY", "cooperative-sticky"),
            Self::Static => config.variable("MIRROR_INSTANCE", member),
            Self::Consumer => config,
        }
    }

    /// Which of the service's consumers to run.
    pub(crate) fn consumer(self) -> &'static str {
        if self == Self::Static { "StaticItems" } else { "Items" }
    }
}

/// A topic of four partitions, a replica, and members of one group.
pub(crate) struct Scene {
    pub(crate) broker: Broker,
    pub(crate) replica: Replica,
    pub(crate) load: Load,
    pub(crate) config: ServiceConfig,
    pub(crate) protocol: Protocol,
    // Last, so that it is removed last.
    _folder: tempfile::TempDir,
}

impl Scene {
    /// On the stack's broker and PostgreSQL.
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self::at(&address("KAFKA_BOOTSTRAP"), &address("DATABASE_URL"), protocol)
    }

    /// On this broker and this PostgreSQL.
    pub(crate) fn at(servers: &str, database_url: &str, protocol: Protocol) -> Self {
        Self::with(servers, protocol, |name, _| Replica::postgres_on(database_url, name))
    }

    /// On the stack's broker and SQLite.
    pub(crate) fn on_sqlite(protocol: Protocol) -> Self {
        Self::with(&address("KAFKA_BOOTSTRAP"), protocol, |_, folder| Replica::sqlite(folder))
    }

    fn with(servers: &str, protocol: Protocol, replica: impl FnOnce(&str, &Path) -> Replica) -> Self {
        let name = fresh_name("grp");
        let topic = format!("{name}.items");
        let broker = Broker::at(servers, &name);
        broker.create_topic(&topic, 4);
        let folder = tempfile::tempdir().unwrap();
        let replica = replica(&name, folder.path());
        replica.sql(Load::TABLE);
        let config = ServiceConfig::new(folder.path())
            .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
            .set("DATABASE_URL", replica.url())
            .set("BATCH__MAX", "200")
            .set("TOPIC_VARIABLES__PREFIX", &name)
            .migrated();
        Self { broker, replica, load: Load::new(&topic), config, protocol, _folder: folder }
    }

    /// Starts a member and waits until it has partitions.
    pub(crate) fn join(&self, log: &str, member: &str) -> Service {
        let mut service = self.protocol.config(&self.config, member).start(log, &["consume", self.protocol.consumer()]);
        service.wait_for_log(" assigned ");
        service
    }

    /// Everything that is committed: what is left for a member that comes when all is done.
    pub(crate) fn left_over(&self) -> u64 {
        let config = self.protocol.config(&self.config, "last");
        handled(&config.run(&["consume", self.protocol.consumer(), "--until-end"]))
    }
}
