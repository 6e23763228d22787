//! The ordering guard, end to end: a message that fails, leaves for a retry topic, and comes back when newer messages of
//! its key are written.

use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::prelude::*;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;
use serde_json::{Value, json};

diesel::table! { shelves (id) { id -> BigInt, } }
diesel::table! { things (id) { id -> BigInt, shelf -> Nullable<BigInt>, name -> Nullable<Text>, } }

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_guard");

#[derive(Debug, PartialEq, Eq, Queryable, Selectable, Identifiable, SyncModel)]
struct Thing {
    id: i64,
    shelf: Option<i64>,
    name: Option<String>,
}

#[topic(name = "things", retry(max_retries = 3, delay = "1m", blocking = false), register = false)]
#[derive(DbzConsumer)]
#[sync(model = Thing)]
struct Things;

#[topic(name = "unguarded", retry(max_retries = 3, delay = "1m", blocking = false), register = false)]
#[derive(DbzConsumer)]
#[sync(model = Thing, guard(off))]
struct Unguarded;

#[consumer(group = "warehouse", topics(Things, Unguarded), config("auto.offset.reset" = "earliest"))]
struct Warehouse;

async fn start() -> TestApp {
    let mut settings = Settings::default();
    settings.embedded.partitions = 1;
    TestApp::start(App::builder().consumer(Warehouse).settings(settings).migrations(MIGRATIONS)).await.unwrap()
}

async fn send(app: &TestApp, topic: &str, id: i64, value: Option<Value>) {
    let key = json!({ "id": id }).to_string();
    app.produce(topic, Some(key.into_bytes()), value.map(|value| value.to_string().into_bytes())).await.unwrap();
}

/// The shelf that the first messages refer to comes late; then their retries are due.
async fn bring_the_shelf(app: &TestApp) {
    app.sqlite(|conn| diesel::insert_into(shelves::table).values(shelves::id.eq(9)).execute(conn)).await.unwrap();
    app.advance(Duration::from_secs(61)).await;
    app.settle().await.unwrap();
}

async fn rows(app: &TestApp) -> Vec<Thing> {
    app.sqlite(|conn| things::table.order(things::id).select(Thing::as_select()).load(conn)).await.unwrap()
}

fn thing(id: i64, shelf: Option<i64>, name: &str) -> Thing {
    Thing { id, shelf, name: Some(name.to_owned()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_retry_overwrites_nothing_newer() {
    let app = start().await;
    for id in 1..=4 {
        send(&app, "things", id, Some(json!({ "id": id, "shelf": 9, "name": "old" }))).await;
    }
    app.settle().await.unwrap();
    assert_eq!(app.retries("things").await.unwrap().len(), 4, "their shelf is not there");
    // All of it, a part of it, and nothing but that it is gone.
    send(&app, "things", 1, Some(json!({ "id": 1, "shelf": null, "name": "new" }))).await;
    send(&app, "things", 2, Some(json!({ "id": 2, "shelf": null, "name": "__debezium_unavailable_value" }))).await;
    send(&app, "things", 3, None).await;
    app.settle().await.unwrap();
    bring_the_shelf(&app).await;
    let expected = [thing(1, None, "new"), thing(2, None, "old"), thing(4, Some(9), "old")];
    assert_eq!(rows(&app).await, expected);
    assert_eq!(app.dead_letters("things").await.unwrap().len(), 0);
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_guard_off_it_does() {
    let app = start().await;
    send(&app, "unguarded", 1, Some(json!({ "id": 1, "shelf": 9, "name": "old" }))).await;
    app.settle().await.unwrap();
    send(&app, "unguarded", 1, Some(json!({ "id": 1, "shelf": null, "name": "new" }))).await;
    app.settle().await.unwrap();
    assert_eq!(rows(&app).await, [thing(1, None, "new")]);
    bring_the_shelf(&app).await;
    assert_eq!(rows(&app).await, [thing(1, Some(9), "old")]);
    app.shutdown().await.unwrap();
}
