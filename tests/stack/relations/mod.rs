//! PostgreSQL with foreign keys → Debezium → a replica that enforces them too, where topics and partitions are read side
//! by side: rows come before those that they refer to, and deletions before those of the rows that refer to theirs. The
//! service is killed five times in the middle of that, and the replica is equal in the end.
//!
//! `RELATIONS_SEED` throws the changes of an earlier run again.

mod shop;

use std::time::{Instant, SystemTime};

use self::shop::Shop;
use crate::harness::{Broker, Connector, Postgres, Replica, Service, ServiceConfig, Shape, fresh_name, wait_for};

const KILLS: u64 = 5;
/// In the source, before and after each kill.
const CHANGES: u64 = 500;
const PARTITIONS: i32 = 4;

struct Scene {
    // First, so that it lets go of the source's slot.
    _connector: Connector,
    name: String,
    broker: Broker,
    source: Postgres,
    replica: Replica,
    shop: Shop,
    config: ServiceConfig,
    consumer: &'static str,
    started: u64,
    // Last, so that it is removed last.
    _folder: tempfile::TempDir,
}

impl Scene {
    /// A shop that has been open for a while.
    fn new(consumer: &'static str) -> Self {
        let name = fresh_name("rel");
        let seed = std::env::var("RELATIONS_SEED").map_or_else(|_| seed(), |seed| seed.parse().unwrap());
        eprintln!("RELATIONS_SEED={seed}");
        let broker = Broker::new(&name);
        let (source, replica) = (Postgres::create(&name), Replica::postgres(&name));
        source.sql(&Shop::tables(true));
        replica.sql(&Shop::tables(false));
        let mut shop = Shop::new(seed);
        shop.change(&source, CHANGES);
        // Before the service comes: a static member that begins again is given what it had, and no new topics.
        let captured = Shop::captured();
        for table in &captured {
            broker.create_topic(&format!("{name}.{table}"), PARTITIONS);
        }
        let shape = Shape { is_flat: true, has_schema: false }.config();
        let connector = Connector::start(&name, &source, &captured.each_ref().map(String::as_str), &shape);
        let folder = tempfile::tempdir().unwrap();
        let config = ServiceConfig::new(folder.path())
            .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
            .set("DATABASE_URL", replica.url())
            .set("TOPIC_VARIABLES__PREFIX", &name)
            .set("BATCH__MAX", "50")
            // What a killed service had claimed is anybody's soon.
            .set("RELATION_RESOLVER_LEASE", "2s")
            // A static member takes over from its former self at once.
            .variable("MIRROR_INSTANCE", "one")
            .set("CONSUMER_CONFIG__AUTO_COMMIT_INTERVAL_MS", "500")
            .migrated();
        let started = 0;
        Self { _connector: connector, name, broker, source, replica, shop, config, consumer, started, _folder: folder }
    }

    fn start(&mut self) -> Service {
        self.started += 1;
        self.config.start(&format!("service{}", self.started), &["consume", self.consumer])
    }

    /// Kills it between two changes of which it has done the one and not the other.
    fn kill_in_the_middle(&mut self, service: Service, kill: u64) {
        for times in 1..=4 {
            let before = self.shop.version();
            self.shop.change(&self.source, CHANGES * times);
            let somewhere = before + CHANGES * times * kill / (KILLS + 2);
            wait_for("the middle of the changes", || {
                let newest = Shop::newest(&self.replica);
                if newest >= somewhere { Ok(()) } else { Err(format!("{newest} of {somewhere}")) }
            });
            service.signal("-STOP");
            if Shop::compare(&self.source, &self.replica).is_err() {
                service.kill();
                return;
            }
            service.signal("-CONT");
        }
        panic!("killed too late to show anything");
    }

    /// How many messages have ever waited.
    fn waited(&self) -> u64 {
        let Replica::Postgres(replica) = &self.replica else { panic!("not on PostgreSQL") };
        replica
            .sql("select case when is_called then last_value else 0 end from django_kafka_waiting_message_id_seq")
            .parse()
            .unwrap()
    }

    fn finish(self, service: Service) {
        wait_for("the replica is equal to its source", || {
            Shop::compare(&self.source, &self.replica)
                .map_err(|differs| format!("{differs}\nwaiting: {:#?}", self.waiting()))
        });
        wait_for("nothing waits", || match self.waiting() {
            waiting if waiting.is_empty() => Ok(()),
            waiting => Err(format!("{waiting:#?}")),
        });
        service.end();
        Shop::compare(&self.source, &self.replica).unwrap();
        let mut topics = self.broker.topics();
        topics.sort();
        let mut captured = Shop::captured().map(|table| format!("{}.{table}", self.name));
        captured.sort();
        assert_eq!(topics, captured, "and no dead letter topic");
        let waited = self.waited();
        eprintln!("{} changes, {} services, {waited} messages waited", self.shop.version(), self.started);
        assert!(waited > 0, "the load shows nothing where no message waits");
    }

    fn waiting(&self) -> Vec<String> {
        let columns = [
            "id",
            "topic",
            "partition",
            "\"offset\"",
            "convert_from(key, 'utf8')",
            "status",
            "deletion",
            "due_ms",
            "relation_model_key",
            "relation_id_value",
            "last_error",
        ];
        self.replica.rows("django_kafka_waiting_message", &columns)
    }
}

/// Other changes in each run.
fn seed() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64
}

fn a_killed_service_converges(consumer: &'static str) {
    let begin = Instant::now();
    let mut scene = Scene::new(consumer);
    let mut service = scene.start();
    for kill in 1..=KILLS {
        scene.kill_in_the_middle(service, kill);
        eprintln!("killed after {:.0?}", begin.elapsed());
        // What the next one finds.
        scene.shop.change(&scene.source, CHANGES);
        service = scene.start();
    }
    scene.finish(service);
    eprintln!("ended after {:.0?}", begin.elapsed());
}

#[test]
fn a_replica_with_foreign_keys_becomes_equal_though_the_service_is_killed() {
    a_killed_service_converges("Shop");
}

#[test]
fn a_replica_with_foreign_keys_becomes_equal_with_offsets_in_the_database() {
    a_killed_service_converges("ExactShop");
}
