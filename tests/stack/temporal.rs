//! Temporal as the daemon of the relations resolver (`--features temporal-tests`, `scripts/stack/up temporal`).

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use serde_json::json;

use crate::harness::{
    Broker, Namespace, OwnStack, Postgres, Service, ServiceConfig, fresh_name, wait_at_most, wait_for,
};

/// What a killed worker had claimed is its own for a minute; then as long as anything may take.
const LEASE_AND_MORE: Duration = Duration::from_secs(240);

/// A shop of a test's own: topics, a database, a namespace. Its orders wait for their customers.
struct Shop {
    name: String,
    broker: Broker,
    database: Postgres,
    namespace: Namespace,
    config: ServiceConfig,
    // Last, so that it is removed last.
    _folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Self {
        let name = fresh_name("temporal");
        let namespace = Namespace::create(&name);
        Self::of(name, namespace)
    }

    fn of(name: String, namespace: Namespace) -> Self {
        let broker = Broker::new(&name);
        for topic in ["customers", "orders"] {
            broker.create_topic(&format!("{name}.{topic}"), 2);
        }
        let folder = tempfile::tempdir().unwrap();
        let database = Postgres::create(&name);
        let config = ServiceConfig::of(env!("CARGO_BIN_EXE_temporal_service"), folder.path())
            .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
            .set("DATABASE_URL", database.url())
            .set("TOPIC_VARIABLES__PREFIX", &name)
            .set("TEMPORAL__ADDRESS", &namespace.address)
            .set("TEMPORAL__NAMESPACE", &namespace.name)
            .set("RELATION_RESOLVER_DAEMON", "temporal")
            .set("RELATION_RESOLVER_DAEMON_INTERVAL", "1s")
            .migrated();
        Self { name, broker, database, namespace, config, _folder: folder }
    }

    fn customers(&self, ids: impl IntoIterator<Item = i64>) {
        for id in ids {
            self.send("customers", id, &json!({ "id": id, "name": format!("c{id}"), "uid": format!("u{id}") }));
        }
        self.broker.flush();
    }

    /// Orders by their ids, their customers and totals.
    fn orders(&self, orders: impl IntoIterator<Item = (i64, i64, i64)>) {
        for (id, customer, total) in orders {
            self.send("orders", id, &json!({ "id": id, "customer_id": customer, "total": total, "note": "n" }));
        }
        self.broker.flush();
    }

    fn send(&self, topic: &str, id: i64, row: &serde_json::Value) {
        let key = json!({ "id": id }).to_string();
        self.broker.send(&format!("{}.{topic}", self.name), &key, Some(row.to_string().as_bytes()));
    }

    fn start(&self, name: &str, command: &str) -> Service {
        self.config.start(name, &[command])
    }

    fn schedule(&self) -> String {
        self.config.run(&["sync-temporal-schedules"])
    }

    fn count(&self, table: &str) -> u64 {
        self.database.sql(&format!("select count(*) from {table}")).parse().unwrap()
    }

    fn wait_for_count(&self, table: &str, count: u64) {
        self.wait_for_count_within(Duration::from_secs(90), table, count);
    }

    fn wait_for_count_within(&self, limit: Duration, table: &str, count: u64) {
        wait_at_most(limit, &format!("{count} in {table}"), || match self.count(table) {
            found if found == count => Ok(()),
            found => Err(found.to_string()),
        });
    }

    /// Keeps everybody from writing orders, until it is dropped.
    fn lock_orders(&self) -> PgConnection {
        let mut connection = PgConnection::establish(&self.database.url()).unwrap();
        connection.batch_execute("begin; lock table orders in exclusive mode").unwrap();
        connection
    }

    /// Waits until somebody waits for that.
    fn wait_until_locked_out(&self) {
        let waiting = "(select 1 from pg_locks where not granted and relation = 'orders'::regclass) as l";
        self.wait_for_count(waiting, 1);
    }
}

const WAITING: &str = "django_kafka_waiting_message";

#[test]
fn parents_that_come_after_their_children_are_found_by_the_schedule() {
    let shop = Shop::new();
    let mut consumer = shop.start("consumer", "consume");
    shop.orders((0..100).map(|id| (id, id % 10, id)));
    shop.wait_for_count(WAITING, 100);
    consumer.wait_for_log("handled by `temporal-worker`, not here");
    shop.customers(0..9);
    shop.wait_for_count("customers", 9);
    // `consume` resolves nothing by itself; its schedule may be older than its worker.
    assert!(shop.schedule().starts_with("created schedule `resolve-awaited-relations`: every 1s"));
    assert_eq!(shop.count(WAITING), 100);
    let mut worker = shop.config.clone().set("METRICS__LISTEN", "127.0.0.1:0").start("worker", &["temporal-worker"]);
    shop.wait_for_count(WAITING, 10);
    shop.wait_for_count("orders", 90);
    assert_eq!(worker.get("/ready"), (200, "ok\n".to_owned()));
    wait_for("what it has done is shown", || match worker.get("/metrics") {
        (200, text) if text.contains("\ndjango_kafka_waiting_resolved_total 90\n") => Ok(()),
        answer => Err(format!("{answer:?}")),
    });
    wait_for("nine workflows", || match shop.namespace.count("ResolveRelation", "Completed")? {
        9.. => Ok(()),
        count => Err(count.to_string()),
    });
    worker.stop();
    consumer.stop();
}

#[test]
fn a_poisoned_message_is_a_dead_letter_and_holds_nobody() {
    let shop = Shop::new();
    shop.schedule();
    let consumer = shop.start("consumer", "consume");
    // The table takes no total of a thousand.
    shop.orders((0..50).map(|id| (id, 1, if id == 25 { 1_000 } else { id })));
    shop.wait_for_count(WAITING, 50);
    let worker = shop.start("worker", "temporal-worker");
    shop.customers([1]);
    shop.wait_for_count("orders", 49);
    shop.wait_for_count(WAITING, 0);
    let dead = format!("{}-shop.{0}.orders.dlt", shop.name);
    let letters = wait_for("the dead letter", || match shop.broker.ends(&dead)?.iter().sum() {
        0_i64 => Err("none".to_owned()),
        _ => Ok(shop.broker.read(&dead)),
    });
    assert_eq!(letters.len(), 1);
    assert_eq!(rdkafka::Message::key(&letters[0]), Some(&br#"{"id":25}"#[..]));
    worker.stop();
    consumer.stop();
}

/// Takes more than a minute: so long is what the killed worker had claimed its own.
#[test]
fn what_a_killed_worker_had_in_hand_another_one_finishes() {
    let shop = Shop::new();
    shop.schedule();
    let consumer = shop.start("consumer", "consume");
    shop.orders((0..5_000).map(|id| (id, 1, 7)));
    shop.wait_for_count(WAITING, 5_000);
    let lock = shop.lock_orders();
    let worker = shop.start("killed", "temporal-worker");
    shop.customers([1]);
    shop.wait_until_locked_out();
    worker.kill();
    drop(lock);
    let other = shop.start("other", "temporal-worker");
    shop.wait_for_count_within(LEASE_AND_MORE, WAITING, 0);
    assert_eq!(shop.count("orders"), 5_000);
    other.stop();
    consumer.stop();
}

#[test]
fn temporal_may_come_late_and_go_and_come_back() {
    let stack = OwnStack::start(&["temporal"]);
    let name = fresh_name("temporal");
    let shop = Shop::of(name.clone(), Namespace::create_at(&stack.temporal_address(), &name));
    shop.schedule();
    stack.down(&["temporal"]);
    // None of them minds that it is away.
    let consumer = shop.start("consumer", "consume");
    let mut worker = shop.start("worker", "temporal-worker");
    worker.wait_for_log("tried again in");
    let (code, _, stderr) = shop.config.outcome(&["sync-temporal-schedules"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("does not answer"), "{stderr}");
    shop.orders((0..20).map(|id| (id, id % 2, 7)));
    shop.wait_for_count(WAITING, 20);
    shop.customers([0]);
    shop.wait_for_count("customers", 1);
    stack.up(&["temporal"]);
    shop.wait_for_count("orders", 10);
    // In the middle, without a word.
    stack.signal("temporal", "-KILL");
    stack.down(&["temporal"]);
    shop.customers([1]);
    shop.wait_for_count("customers", 2);
    assert_eq!(shop.count(WAITING), 10);
    stack.up(&["temporal"]);
    shop.wait_for_count("orders", 20);
    shop.wait_for_count(WAITING, 0);
    assert!(worker.ended().is_none());
    worker.stop();
    consumer.stop();
}

#[test]
fn a_schedule_is_made_once_and_follows_the_settings() {
    let shop = Shop::new();
    let (code, stdout, _) = shop.config.outcome(&["check"]);
    assert_eq!(code, 1);
    assert!(stdout.contains("no schedule `resolve-awaited-relations` yet: run `sync-temporal-schedules`"), "{stdout}");
    assert!(shop.schedule().starts_with("created"));
    assert!(shop.schedule().starts_with("updated"));
    let slower = shop.config.clone().set("RELATION_RESOLVER_DAEMON_INTERVAL", "7s");
    assert!(slower.run(&["sync_temporalio_schedules"]).contains("every 7s"));
    wait_for("one schedule", || match &*shop.namespace.schedules()? {
        [only] if only == "resolve-awaited-relations" => Ok(()),
        found => Err(format!("{found:?}")),
    });
    let described =
        shop.namespace.ask(&["schedule", "describe", "--schedule-id", "resolve-awaited-relations"]).unwrap();
    assert!(described.contains("7s"), "{described}");
    assert!(shop.config.run(&["check"]).contains("schedule `resolve-awaited-relations`"));
    // Another service's would be overwritten.
    let other = shop.config.clone().set("TEMPORAL_TASK_QUEUE", "other");
    let (code, _, stderr) = other.outcome(&["sync-temporal-schedules"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("is for task queue `django-kafka`"), "{stderr}");
}

#[test]
fn parents_are_found_behind_a_page_of_those_that_are_missing() {
    let shop = Shop::new();
    shop.schedule();
    let consumer = shop.start("consumer", "consume");
    // Looked at in the order of the text, a thousand at once: the last ones come with the fourth look.
    shop.orders((0..3_000).map(|id| (id, 1_000_000 + id, 7)));
    shop.orders((3_000..3_050).map(|id| (id, 9_000_000 + id, 7)));
    shop.wait_for_count(WAITING, 3_050);
    shop.customers(9_003_000..9_003_050);
    let worker = shop.start("worker", "temporal-worker");
    shop.wait_for_count("orders", 50);
    shop.wait_for_count(WAITING, 3_000);
    worker.stop();
    consumer.stop();
}

/// Takes more than half a minute: longer than Temporal waits for a sign of life.
#[test]
fn ten_thousand_children_of_one_parent_are_one_activity_that_says_that_it_lives() {
    let shop = Shop::new();
    shop.schedule();
    let consumer = shop.start("consumer", "consume");
    shop.orders((0..10_000).map(|id| (id, 1, 7)));
    shop.wait_for_count(WAITING, 10_000);
    // Ten rows of them take four seconds each.
    shop.database.sql(
        "create function slow() returns trigger language plpgsql as \
         'begin if new.id % 1000 = 0 then perform pg_sleep(4); end if; return new; end'; \
         create trigger slow before insert on orders for each row execute function slow()",
    );
    let worker = shop.start("worker", "temporal-worker");
    shop.customers([1]);
    let workflow = "resolve-relation-customers.id=1";
    wait_for("a sign of life after the first half minute", || {
        let activity = shop.namespace.pending_activity(workflow)?;
        assert_eq!(activity["attempt"].as_i64().unwrap_or(1), 1, "{activity}");
        let time = |key: &str| seconds(activity[key].as_str().unwrap_or_default());
        match (time("lastStartedTime"), time("lastHeartbeatTime")) {
            (Some(started), Some(alive)) if alive - started > 30.0 => Ok(()),
            _ => Err(activity.to_string()),
        }
    });
    shop.database.sql("drop trigger slow on orders");
    shop.wait_for_count(WAITING, 0);
    assert_eq!(shop.count("orders"), 10_000);
    worker.stop();
    consumer.stop();
}

/// Seconds since 1970 of a time as Temporal writes it: `2026-11-24T12:36:41.727792Z`.
fn seconds(time: &str) -> Option<f64> {
    let time = chrono::DateTime::parse_from_rfc3339(time).ok()?;
    Some(time.timestamp_micros() as f64 / 1e6)
}
