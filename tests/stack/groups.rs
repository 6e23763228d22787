//! Several instances of a service in one group: what one leaves, in order or not, another one goes on with.

use crate::harness::{Broker, Load, Replica, Service, ServiceConfig, fresh_name, handled};

const CHANGES: u64 = 20_000;
const KEYS: u64 = 2_000;

/// How a group shares out its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
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
    fn config(self, config: &ServiceConfig, member: &str) -> ServiceConfig {
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
    fn consumer(self) -> &'static str {
        if self == Self::Static { "StaticItems" } else { "Items" }
    }
}

/// A topic of four partitions, a replica, and members of one group.
struct Scene {
    broker: Broker,
    replica: Replica,
    load: Load,
    config: ServiceConfig,
    protocol: Protocol,
    // Last, so that it is removed last.
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(protocol: Protocol) -> Self {
        let name = fresh_name("grp");
        let topic = format!("{name}.items");
        let broker = Broker::new(&name);
        broker.create_topic(&topic, 4);
        let folder = tempfile::tempdir().unwrap();
        let replica = Replica::sqlite(folder.path());
        replica.sql(Load::TABLE);
        let config = ServiceConfig::new(folder.path())
            .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
            .set("DATABASE_URL", replica.url())
            .set("BATCH__MAX", "200")
            .set("TOPIC_VARIABLES__PREFIX", &name);
        Self { broker, replica, load: Load::new(&topic), config, protocol, _folder: folder }
    }

    /// Starts a member and waits until it has partitions.
    fn join(&self, log: &str, member: &str) -> Service {
        let mut service = self.protocol.config(&self.config, member).start(log, &["consume", self.protocol.consumer()]);
        service.wait_for_log(" assigned ");
        service
    }

    /// Everything that is committed: what is left for a member that comes when all is done.
    fn left_over(&self) -> u64 {
        let config = self.protocol.config(&self.config, "last");
        handled(&config.run(&["consume", self.protocol.consumer(), "--until-end"]))
    }
}

/// One of two members is killed in the middle of the load.
fn a_killed_member_leaves_its_work(protocol: Protocol) {
    let mut scene = Scene::new(protocol);
    let first = scene.join("first", "one");
    let second = scene.join("second", "two");
    scene.load.produce(&scene.broker, CHANGES, KEYS);
    scene.load.wait_for_version(&scene.replica, CHANGES / 5);
    first.kill();
    assert!(scene.load.compare(&scene.replica).is_err(), "killed too late to show anything");
    // Static members get their partitions back without a rebalance.
    let again = (protocol == Protocol::Static).then(|| scene.join("again", "one"));
    scene.load.wait_until_equal(&scene.replica);
    second.end();
    drop(again.map(Service::end));
    assert_eq!(scene.left_over(), 0, "all of it is committed");
    scene.load.compare(&scene.replica).unwrap();
}

/// A member joins in the middle of the load, and later the other one leaves: each message is handled once.
fn partitions_are_handed_over(protocol: Protocol) {
    let mut scene = Scene::new(protocol);
    let first = scene.join("first", "one");
    scene.load.produce(&scene.broker, CHANGES, KEYS);
    scene.load.wait_for_version(&scene.replica, CHANGES / 10);
    let second = scene.join("second", "two");
    scene.load.produce(&scene.broker, CHANGES, KEYS);
    let by_first = first.end();
    let log = second.log();
    scene.load.wait_until_equal(&scene.replica);
    let by_second = second.end();
    assert_eq!(by_first + by_second, scene.load.changes(), "each message once\n{log}");
    assert!(by_first > 0 && by_second > 0, "{by_first} and {by_second}");
    assert_eq!(scene.left_over(), 0);
}

#[test]
fn a_killed_member_leaves_its_work_to_the_group_eager() {
    a_killed_member_leaves_its_work(Protocol::Eager);
}

#[test]
fn a_killed_member_leaves_its_work_to_the_group_cooperative() {
    a_killed_member_leaves_its_work(Protocol::Cooperative);
}

#[test]
fn a_killed_member_leaves_its_work_to_the_group_by_the_consumer_protocol() {
    a_killed_member_leaves_its_work(Protocol::Consumer);
}

#[test]
fn a_killed_static_member_that_returns_goes_on_with_its_work() {
    a_killed_member_leaves_its_work(Protocol::Static);
}

#[test]
fn partitions_are_handed_over_eager() {
    partitions_are_handed_over(Protocol::Eager);
}

#[test]
fn partitions_are_handed_over_cooperative() {
    partitions_are_handed_over(Protocol::Cooperative);
}

#[test]
fn partitions_are_handed_over_by_the_consumer_protocol() {
    partitions_are_handed_over(Protocol::Consumer);
}
