//! `offsets = "database"` under fire: a counter that each message adds to, members that are killed, and members that are
//! stopped, outlive their session, and wake.
//!
//! Three kills and one zombie; `EXACTLY_ONCE_KILLS` and `EXACTLY_ONCE_ZOMBIES` say how many else.

use std::time::{Duration, Instant};

use crate::harness::{Broker, Postgres, Service, ServiceConfig, fresh_name, wait_for};
use crate::scene::Protocol;

/// Messages of a round: more than a killed member's successor has done before the next round.
const MESSAGES: u64 = 2_000;
/// One in so many fails at first.
const FAILS: u64 = 100;
const PARTITIONS: i32 = 4;
const TABLES: &str = "create table visits (id bigint primary key, visits bigint not null);
                      create table totals (partition integer primary key, visits bigint not null);";

struct Stage {
    name: String,
    broker: Broker,
    database: Postgres,
    config: ServiceConfig,
    protocol: Protocol,
    produced: u64,
    started: usize,
    members: Vec<Service>,
    // Last, so that it is removed last.
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new(protocol: Protocol) -> Self {
        let name = fresh_name("once");
        let broker = Broker::new(&name);
        broker.create_topic(&format!("{name}.visits"), PARTITIONS);
        let database = Postgres::create(&name);
        database.sql(TABLES);
        let folder = tempfile::tempdir().unwrap();
        let config = ServiceConfig::new(folder.path())
            .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
            .set("DATABASE_URL", database.url())
            .set("TOPIC_VARIABLES__PREFIX", &name)
            .set("BATCH__MAX", "50")
            .set("RETRY_CONSUMER_CONFIG__TOPIC_METADATA_REFRESH_INTERVAL_MS", "1000");
        let config = protocol.config(&config, "member").migrated();
        let mut stage = Self {
            name,
            broker,
            database,
            config,
            protocol,
            produced: 0,
            started: 0,
            members: Vec::new(),
            _folder: folder,
        };
        for _ in 0..2 {
            stage.join();
        }
        stage
    }

    fn join(&mut self) {
        self.started += 1;
        let mut member = self.config.start(&format!("member{}", self.started), &["consume", "Counter"]);
        member.wait_for_log(" assigned ");
        self.members.push(member);
    }

    fn produce(&mut self) {
        let topic = format!("{}.visits", self.name);
        for _ in 0..MESSAGES {
            let id = self.produced;
            self.produced += 1;
            let value = if id.is_multiple_of(FAILS) { format!("{id} fails") } else { id.to_string() };
            self.broker.send(&topic, &id.to_string(), Some(value.as_bytes()));
        }
        self.broker.flush();
    }

    fn count(&self, query: &str) -> u64 {
        self.database.sql(query).parse().unwrap()
    }

    fn visits(&self) -> u64 {
        self.count("select coalesce(sum(visits), 0) from visits")
    }

    /// Waits until so many visits are counted; the one in hand is in the middle of something then.
    fn wait_for_visits(&self, wanted: u64) {
        wait_for(&format!("{wanted} visits"), || {
            let visits = self.visits();
            if visits >= wanted { Ok(()) } else { Err(format!("{visits} visits")) }
        });
    }

    /// Somewhere in what a round adds, another place each time.
    fn somewhere(&self, round: u64) -> u64 {
        let before = self.produced - MESSAGES;
        before + (round * 739 + 211) % (MESSAGES - 400)
    }

    fn kill_one(&mut self, round: u64) {
        self.produce();
        self.wait_for_visits(self.somewhere(round));
        let victim = usize::try_from(round).unwrap() % self.members.len();
        self.members.remove(victim).kill();
        self.join();
        self.check();
    }

    fn put_one_to_sleep(&mut self, round: u64) {
        self.produce();
        self.wait_for_visits(self.somewhere(round));
        let victim = usize::try_from(round).unwrap() % self.members.len();
        let mark = self.members[victim].log().len();
        self.members[victim].signal("-STOP");
        // These have to be handled by others, in its partitions too.
        self.produce();
        // It may stand still inside of a transaction: then they wait for the database to end that.
        let until = Instant::now() + Duration::from_secs(20);
        wait_for("the others go on", || {
            let visits = self.visits();
            if visits == self.produced || Instant::now() > until { Ok(()) } else { Err(format!("{visits} visits")) }
        });
        self.members[victim].signal("-CONT");
        self.members[victim].wait_for_log_from(mark, "stood still");
        self.members[victim].wait_for_log_from(mark, " assigned ");
        self.check();
    }

    /// Whatever has come so far, no message was counted twice, and what is counted in two places is the same.
    fn check(&self) {
        let twice = self.database.sql("select id || ': ' || visits from visits where visits > 1 order by id limit 10");
        assert_eq!(twice, "", "handled more than once (of {} messages)", self.produced);
        let both =
            "select (select coalesce(sum(visits), 0) from visits) - (select coalesce(sum(visits), 0) from totals)";
        assert_eq!(self.count(both), 0, "effects of one transaction");
    }

    fn finish(mut self) {
        self.wait_for_visits(self.produced);
        wait_for("nothing is under way", || {
            let left = self.database.sql("select count(*) from django_kafka_outgoing");
            if left == "0" { Ok(()) } else { Err(left) }
        });
        self.check();
        assert_eq!(self.visits(), self.produced);
        assert_eq!(self.count("select count(*) from visits"), self.produced);
        for member in std::mem::take(&mut self.members) {
            member.end();
        }
        let topics = self.broker.topics();
        assert!(topics.iter().all(|topic| !topic.contains(".dlt")), "{topics:?}");
        eprintln!("{} messages, {} members, {:?}", self.produced, self.started, self.protocol);
        let settled = self.count("select count(*) from django_kafka_settled");
        assert_eq!(settled, self.produced / FAILS);
    }
}

fn times(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

fn each_message_counts_once(protocol: Protocol) {
    let mut stage = Stage::new(protocol);
    let (kills, zombies) = (times("EXACTLY_ONCE_KILLS", 3), times("EXACTLY_ONCE_ZOMBIES", 1));
    for round in 0..kills.max(zombies * kills.div_ceil(zombies.max(1))) {
        if round < kills {
            stage.kill_one(round);
        }
        if zombies > 0 && round % kills.div_ceil(zombies).max(1) == 0 {
            stage.put_one_to_sleep(round);
        }
    }
    stage.finish();
}

#[test]
fn each_message_counts_once_whoever_dies_or_wakes_cooperative() {
    each_message_counts_once(Protocol::Cooperative);
}

#[test]
fn each_message_counts_once_whoever_dies_or_wakes_by_the_consumer_protocol() {
    each_message_counts_once(Protocol::Consumer);
}
