//! What the endpoint shows to Prometheus and says to probes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::prelude::*;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(60);

diesel::table! { customers (id) { id -> BigInt, name -> Text, } }
diesel::table! { orders (id) { id -> BigInt, customer_id -> Nullable<BigInt>, total -> BigInt, } }

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_relations");

#[topic(name = "customers", register = false)]
#[derive(Queryable, Identifiable, DbzConsumer)]
struct Customer {
    id: i64,
    name: String,
}

#[topic(name = "orders", register = false)]
#[derive(Queryable, Identifiable, Associations, DbzConsumer)]
#[diesel(belongs_to(Customer))]
#[sync(relations(auto))]
struct Order {
    id: i64,
    customer_id: Option<i64>,
    total: i64,
}

#[topic(name = "events", retry(max_retries = 2, delay = "1m", blocking = false), register = false)]
struct Events;

impl TopicConsumer for Events {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        match record.value()?.as_str() {
            "poison" => Err(ConsumeError::dead_letter("cannot take it")),
            "nothing" => Err(ConsumeError::skip("not for us")),
            "heals" if record.attempt() == 0 => Err("not yet".into()),
            _ => Ok(()),
        }
    }
}

#[topic(name = "steps", retry(max_retries = 2, delay = "1m"), register = false)]
struct Steps;

impl TopicConsumer for Steps {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        if record.attempt() == 0 { Err("not yet".into()) } else { Ok(()) }
    }
}

#[consumer(group = "crm", topics(Customer, Order, Events, Steps), config("auto.offset.reset" = "earliest"))]
struct Crm;

fn app(listen: &str) -> App {
    let mut settings = Settings::default();
    settings.embedded.partitions = 1;
    settings.metrics.listen = Some(listen.parse().unwrap());
    App::builder().consumer(Crm).settings(settings).migrations(MIGRATIONS)
}

async fn get(address: SocketAddr, path: &str) -> Result<(u16, String), reqwest::Error> {
    let answer = reqwest::get(format!("http://{address}{path}")).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// The series of a scrape, by their names with labels.
async fn scrape(app: &TestApp) -> BTreeMap<String, f64> {
    let (status, text) = get(app.handle().metrics_address().unwrap(), "/metrics").await.unwrap();
    assert_eq!(status, 200, "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// Scrapes until this is so.
async fn scrape_until(
    app: &TestApp,
    what: &str,
    is_so: impl Fn(&BTreeMap<String, f64>) -> bool,
) -> BTreeMap<String, f64> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let series = scrape(app).await;
        if is_so(&series) {
            return series;
        }
        assert!(Instant::now() < deadline, "{what}: {series:#?}");
        tokio::task::yield_now().await;
    }
}

async fn customer(app: &TestApp, id: i64) {
    let (key, value) = (json!({ "id": id }), json!({ "id": id, "name": "Ann" }));
    app.produce("customers", key.to_string(), value.to_string()).await.unwrap();
}

/// Three customers, an order whose customer is missing, a poison event, one to be skipped, and two that heal.
async fn tell_the_story(app: &TestApp) {
    for id in 1..=3 {
        customer(app, id).await;
    }
    let order = json!({ "id": 1, "customer_id": 99, "total": 5 });
    app.produce("orders", json!({ "id": 1 }).to_string(), order.to_string()).await.unwrap();
    for event in ["poison", "nothing", "heals"] {
        app.produce("events", "k", event).await.unwrap();
    }
    app.produce("steps", "k", "heals").await.unwrap();
    app.settle().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_is_counted_as_it_went() {
    story_is_counted(TestApp::start(app("127.0.0.1:0")).await.unwrap(), 1.0).await;
    match std::env::var("DATABASE_URL") {
        Ok(url) if url.starts_with("postgres") => {
            let app = TestApp::start_with_postgres(app("127.0.0.1:0"), &url).await.unwrap();
            story_is_counted(app, 8.0).await;
        }
        _ => eprintln!("SKIPPED: DATABASE_URL names no PostgreSQL (postgres://…)"),
    }
}

async fn story_is_counted(app: TestApp, connections: f64) {
    tell_the_story(&app).await;
    let held = scrape_until(&app, "the message that waits in place", |series| {
        series.get(r#"django_kafka_failures_in_place{consumer="Crm",topic="steps",partition="0"}"#) == Some(&1.0)
    });
    let held = held.await;
    let is = |series: &BTreeMap<String, f64>, name: &str, value: f64| {
        assert_eq!(series.get(name), Some(&value), "{name} of {series:#?}");
    };
    is(&held, r#"django_kafka_lag_messages{consumer="Crm",topic="steps",partition="0"}"#, 1.0);
    is(&held, r#"django_kafka_buffered_messages{consumer="Crm",topic="steps",partition="0"}"#, 1.0);
    is(&held, r#"django_kafka_waiting_messages{relation="customers.id"}"#, 1.0);

    app.advance(Duration::from_secs(61)).await;
    app.settle().await.unwrap();
    let series = scrape_until(&app, "the retries", |series| {
        let caught_up = |topic: &str| format!(r#"django_kafka_lag_messages{{{topic},partition="0"}}"#);
        [r#"consumer="Crm",topic="steps""#, r#"consumer="Crm.retry",topic="crm.events.retry.1""#]
            .iter()
            .all(|topic| series.get(&caught_up(topic)) == Some(&0.0))
    });
    let series = series.await;
    for (labels, handled, failed) in [
        (r#"consumer="Crm",topic="customers""#, 3.0, 0.0),
        (r#"consumer="Crm",topic="orders""#, 1.0, 0.0),
        (r#"consumer="Crm",topic="events""#, 3.0, 3.0),
        (r#"consumer="Crm",topic="steps""#, 1.0, 1.0),
        (r#"consumer="Crm.retry",topic="crm.events.retry.1""#, 1.0, 0.0),
    ] {
        is(&series, &format!("django_kafka_messages_handled_total{{{labels}}}"), handled);
        is(&series, &format!("django_kafka_messages_failed_total{{{labels}}}"), failed);
    }
    is(&series, r#"django_kafka_messages_parked_total{consumer="Crm",topic="orders"}"#, 1.0);
    is(&series, r#"django_kafka_messages_dead_lettered_total{consumer="Crm",topic="events"}"#, 1.0);
    is(&series, r#"django_kafka_messages_skipped_total{consumer="Crm",topic="events"}"#, 1.0);
    is(&series, r#"django_kafka_messages_retried_total{consumer="Crm",topic="events",how="topic"}"#, 1.0);
    is(&series, r#"django_kafka_messages_retried_total{consumer="Crm",topic="events",how="in_place"}"#, 0.0);
    is(&series, r#"django_kafka_messages_retried_total{consumer="Crm",topic="steps",how="in_place"}"#, 1.0);
    is(&series, r#"django_kafka_failures_in_place{consumer="Crm",topic="steps",partition="0"}"#, 0.0);
    is(&series, r#"django_kafka_oldest_waiting_seconds{consumer="Crm",topic="steps",partition="0"}"#, 0.0);
    is(&series, r#"django_kafka_partitions_assigned{consumer="Crm"}"#, 4.0);
    is(&series, r#"django_kafka_position_offset{consumer="Crm",topic="customers",partition="0"}"#, 3.0);
    is(&series, r#"django_kafka_database_connections{state="max"}"#, connections);
    is(&series, "django_kafka_database_up", 1.0);
    // Eight of the test's own, a retry and a dead letter.
    is(&series, "django_kafka_produced_messages_total", 10.0);
    for stage in ["decode", "plan", "write", "commit"] {
        let count = format!(r#"django_kafka_stage_seconds_count{{consumer="Crm",topic="customers",stage="{stage}"}}"#);
        assert!(series.get(&count).is_some_and(|count| *count >= 1.0), "{count} of {series:#?}");
    }
    let stages_of = |topic: &str| -> BTreeSet<&str> {
        let of = format!(r#"topic="{topic}",stage=""#);
        series.keys().filter_map(|series| series.split_once(&of)?.1.split('"').next()).collect()
    };
    assert_eq!(stages_of("events"), ["handle"].into(), "a handler has no other stage");
    let sum = r#"django_kafka_batch_messages_sum{consumer="Crm",topic="customers"}"#;
    is(&series, sum, 3.0);
    app.shutdown().await.unwrap();
}

/// The names of a table in the documentation.
fn documented() -> BTreeSet<&'static str> {
    let text = include_str!("../../docs/metrics.md");
    text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn more_messages_make_no_more_series_and_every_series_is_documented() {
    let app = TestApp::start(app("127.0.0.1:0")).await.unwrap();
    tell_the_story(&app).await;
    let names = |series: &BTreeMap<String, f64>| series.keys().cloned().collect::<BTreeSet<String>>();
    let lag = r#"django_kafka_lag_messages{consumer="Crm",topic="customers",partition="0"}"#;
    let before = names(&scrape_until(&app, "lag", |series| series.get(lag) == Some(&0.0)).await);
    for id in 100..160 {
        customer(&app, id).await;
    }
    app.settle().await.unwrap();
    let position = r#"django_kafka_position_offset{consumer="Crm",topic="customers",partition="0"}"#;
    let after = names(&scrape_until(&app, "all handled", |series| series.get(position) == Some(&63.0)).await);
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new(), "a label has what messages have");

    let known = documented();
    let name_of = |series: &String| {
        let name = series.split('{').next().unwrap().to_owned();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        if series.contains("_seconds_") || series.contains("batch_messages_") {
            base.unwrap_or(&name).to_owned()
        } else {
            name
        }
    };
    let unknown: Vec<String> = after.iter().map(name_of).filter(|name| !known.contains(name.as_str())).collect();
    assert_eq!(unknown, Vec::<String>::new(), "not in docs/metrics.md");
    let (_, text) = get(app.handle().metrics_address().unwrap(), "/metrics").await.unwrap();
    for line in ["# TYPE django_kafka_batch_seconds histogram", "# HELP django_kafka_lag_messages Offsets between"] {
        assert!(text.contains(line), "{line} in {text}");
    }
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_told_when_the_service_is_ready_and_why_not_before() {
    // Nobody else takes it between here and the start but by bad luck.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = tokio::spawn(TestApp::start(app(&address.to_string())));
    let mut refused = BTreeSet::new();
    let deadline = Instant::now() + DEADLINE;
    loop {
        match get(address, "/ready").await {
            Ok((200, text)) => {
                assert_eq!(text, "ok\n");
                break;
            }
            Ok((503, why)) => {
                refused.insert(why);
                // Neither starting nor joining a group is a reason to be started anew.
                assert_eq!(get(address, "/live").await.unwrap(), (200, "ok\n".to_owned()));
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(error.is_connect(), "{error}"),
        }
        assert!(Instant::now() < deadline, "not ready: {refused:?}");
        tokio::task::yield_now().await;
    }
    let app = started.await.unwrap().unwrap();
    let said = "consumer `Crm`: its group has not assigned partitions to it\n";
    assert!(refused.contains(said), "{refused:?}");

    let address = app.handle().metrics_address().unwrap();
    assert_eq!(get(address, "/nowhere").await.unwrap().0, 404);
    let posted = reqwest::Client::new().post(format!("http://{address}/metrics")).send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 405);
    app.shutdown().await.unwrap();
    let deadline = Instant::now() + DEADLINE;
    while get(address, "/ready").await.is_ok() {
        assert!(Instant::now() < deadline, "it answers after the end");
        tokio::task::yield_now().await;
    }
}

#[topic(name = "naps", register = false)]
struct Naps;

impl TopicConsumer for Naps {
    async fn consume(&self, _record: &Record<Self>, cx: &Context) -> ConsumeResult {
        // What nobody should do: it keeps the runtime's thread.
        let _ = cx.state::<Mutex<Receiver<()>>>().lock().unwrap().recv();
        Ok(())
    }
}

#[consumer(group = "naps", topics(Naps), config("auto.offset.reset" = "earliest", "max.poll.interval.ms" = 1500))]
struct Sleeper;

/// The handler holds the only thread that the program's own code has, so that the engine stands still.
#[test]
fn a_process_whose_engine_is_stuck_is_not_live_until_it_moves_again() {
    let runtime = |threads: usize| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
    };
    let (program, probes) = (runtime(1), runtime(1));
    let (wake, sleeps) = channel();
    let mut settings = Settings::default();
    settings.embedded.partitions = 1;
    settings.metrics.listen = Some("127.0.0.1:0".parse().unwrap());
    let app = App::builder().consumer(Sleeper).settings(settings).state(Mutex::new(sleeps));
    let app = program.block_on(TestApp::start(app)).unwrap();
    let address = app.handle().metrics_address().unwrap();
    let live_until = |what: &str, status: u16| {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (found, text) = probes.block_on(get(address, "/live")).unwrap();
            if found == status {
                return text;
            }
            assert!(Instant::now() < deadline, "{what}: {found} {text}");
            std::thread::yield_now();
        }
    };
    assert_eq!(live_until("it has started", 200), "ok\n");
    program.block_on(app.produce("naps", "k", "a nap")).unwrap();
    let why = live_until("its engine is stuck", 503);
    assert!(why.starts_with("consumer `Sleeper`: its engine has not moved for "), "{why}");
    assert!(why.contains("`max.poll.interval.ms` allows 1 s"), "{why}");
    assert_eq!(probes.block_on(get(address, "/ready")).unwrap().0, 503);
    wake.send(()).unwrap();
    assert_eq!(live_until("it moves again", 200), "ok\n");
    drop(wake);
    program.block_on(app.shutdown()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = TestApp::start(app(&address)).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("`metrics.listen`: cannot listen at {address}: ")), "{error}");
    assert!(error.contains("Choose another port"), "{error}");
}
