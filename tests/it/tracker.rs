//! The key offset tracker, end to end on the embedded broker: which messages are superseded, and which are not.

use std::time::{Duration, Instant};

use diesel::sql_types::{BigInt, Text};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::{TestApp, TestBytes};
use django_kafka_rs::{App, StartError};
use serde_json::json;

const MINUTE: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_secs(30);

diesel::table! { children (id) { id -> BigInt, parent_id -> BigInt, name -> Text, } }
diesel::table! { parents (id) { id -> BigInt, } }

/// Blocking: a child without its parent holds its partition.
#[topic(name = "shop.children", retry(max_retries = 3, delay = "1m", use_offset_tracker), register = false)]
#[derive(Queryable, Selectable, Identifiable, DbzConsumer)]
#[diesel(table_name = children)]
#[sync(reduce(off))]
struct Child {
    id: i64,
    parent_id: i64,
    name: String,
}

/// The same, from retry topics.
#[topic(
    name = "shop.later_children",
    retry(max_retries = 3, delay = "1m", blocking = false, use_offset_tracker),
    register = false
)]
#[derive(DbzConsumer)]
#[sync(model = Child, guard(off))]
struct LaterChildren;

/// A handler that looks for a parent.
#[topic(name = "shop.visits", retry(max_retries = 3, delay = "1m", use_offset_tracker), register = false)]
struct Visits;

impl TopicConsumer for Visits {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let id: i64 = record.value()?.parse()?;
        cx.db(move |conn: &mut DbConn| parents::table.find(id).select(parents::id).first::<i64>(conn)).await?;
        Ok(())
    }
}

/// What a pattern takes of the tracker's topics is tracked too.
#[topic(name = "^pattern\\..*", retry(max_retries = 1, delay = "1m", use_offset_tracker), register = false)]
struct Patterned;

impl TopicConsumer for Patterned {
    async fn consume(&self, record: &Record<Self>, _: &Context) -> ConsumeResult {
        match record.value()?.as_str() {
            "missing" => Err(RowNotFound::new("no such parent").into()),
            "broken" => Err("broken in another way".into()),
            _ => Ok(()),
        }
    }
}

#[consumer(group = "shop", topics(Child, LaterChildren, Visits, Patterned))]
struct Shop;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_tracker");

fn app() -> App {
    let mut settings = Settings::default();
    settings.embedded.partitions = 1;
    App::builder()
        .consumer(Shop)
        .consumer(KeyOffsetTracker::enable("shop-key-offsets"))
        .settings(settings)
        .migrations(MIGRATIONS)
}

/// The application on each database that there is.
async fn on_each() -> Vec<TestApp> {
    let mut apps = vec![TestApp::start(app()).await.unwrap()];
    match std::env::var("DATABASE_URL").ok().filter(|url| url.starts_with("postgres")) {
        Some(url) => apps.push(TestApp::start_with_postgres(app(), &url).await.unwrap()),
        None => eprintln!("SKIPPED: DATABASE_URL names no PostgreSQL (postgres://…)"),
    }
    apps
}

/// Runs statements on either database.
async fn execute(app: &TestApp, sql: &'static [&'static str]) {
    if app.sqlite(move |conn| run(sql, |statement| diesel::sql_query(statement).execute(conn))).await.is_err() {
        app.pg(move |conn| run(sql, |statement| diesel::sql_query(statement).execute(conn))).await.unwrap();
    }
}

fn run(
    sql: &[&'static str],
    mut execute: impl FnMut(&'static str) -> QueryResult<usize>,
) -> Result<(), diesel::result::Error> {
    sql.iter().try_for_each(|statement| execute(statement).map(drop))
}

/// Key and offset of the tracker's rows of a topic.
async fn tracked(app: &TestApp, topic: &'static str) -> Vec<(String, i64)> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        key: String,
        #[diesel(sql_type = BigInt)]
        offset: i64,
    }
    let sqlite = format!(
        "SELECT CAST(key AS TEXT) AS key, \"offset\" FROM django_kafka_key_offset_tracker WHERE topic = '{topic}' \
         ORDER BY 1"
    );
    let pg = sqlite.replace("CAST(key AS TEXT)", "convert_from(key, 'UTF8')");
    let rows = match app.sqlite(move |conn| diesel::sql_query(sqlite).load::<Row>(conn)).await {
        Ok(rows) => rows,
        Err(_) => app.pg(move |conn| diesel::sql_query(pg).load::<Row>(conn)).await.unwrap(),
    };
    rows.into_iter().map(|row| (row.key, row.offset)).collect()
}

async fn names(app: &TestApp) -> Vec<String> {
    let names = match app.sqlite(|conn| children::table.order(children::id).select(children::name).load(conn)).await {
        Ok(names) => names,
        Err(_) => app.pg(|conn| children::table.order(children::id).select(children::name).load(conn)).await.unwrap(),
    };
    names
}

fn child(id: i64, parent: i64, name: &str) -> (TestBytes, TestBytes) {
    (json!({ "id": id }).into(), json!({ "id": id, "parent_id": parent, "name": name }).into())
}

async fn produce(app: &TestApp, topic: &str, (key, value): (TestBytes, TestBytes)) {
    app.produce(topic, key, value).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_message_is_passed_over_once_a_newer_one_of_its_key_is_there() {
    for app in on_each().await {
        produce(&app, "shop.children", child(1, 9, "orphan")).await;
        produce(&app, "shop.children", child(2, 1, "other")).await;
        app.settle().await.unwrap();
        assert_eq!(names(&app).await, [""; 0], "the partition waits for the parent");

        produce(&app, "shop.children", child(1, 1, "adopted")).await;
        app.settle().await.unwrap();
        assert_eq!(tracked(&app, "shop.children").await, [(r#"{"id":1}"#.into(), 2), (r#"{"id":2}"#.into(), 1)]);
        app.advance(MINUTE).await;
        app.settle().await.unwrap();
        assert_eq!(names(&app).await, ["adopted", "other"]);
        assert_eq!(app.summary().superseded, 1);
        assert!(app.dead_letters("shop.children").await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_superseded_messages_of_a_batch_are_passed_over_at_once() {
    for app in on_each().await {
        produce(&app, "shop.children", child(0, 9, "holds the partition")).await;
        app.settle().await.unwrap();
        for id in 1..=20 {
            produce(&app, "shop.children", child(id, 9, "orphan")).await;
        }
        produce(&app, "shop.children", child(30, 9, "orphan without a successor")).await;
        for id in 0..=20 {
            produce(&app, "shop.children", child(id, 1, "adopted")).await;
        }
        app.settle().await.unwrap();
        app.advance(MINUTE).await;
        app.settle().await.unwrap();
        assert_eq!(app.summary().superseded, 21);
        assert_eq!(names(&app).await.len(), 0, "the one without a successor holds what is behind it");
        for _ in 0..3 {
            app.advance(MINUTE).await;
            app.settle().await.unwrap();
        }
        assert_eq!(names(&app).await.len(), 21);
        let letters = app.dead_letters("shop.children").await.unwrap();
        assert_eq!(letters.iter().map(|letter| letter.offset).collect::<Vec<_>>(), [21]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_from_a_retry_topic_goes_by_where_it_was_first_read() {
    for app in on_each().await {
        produce(&app, "shop.later_children", child(1, 9, "orphan")).await;
        produce(&app, "shop.later_children", child(2, 9, "orphan too")).await;
        app.settle().await.unwrap();
        assert_eq!(app.retries("shop.later_children").await.unwrap().len(), 2);
        produce(&app, "shop.later_children", child(1, 1, "adopted")).await;
        app.settle().await.unwrap();
        app.advance(MINUTE).await;
        app.settle().await.unwrap();
        let retries = app.retries("shop.later_children").await.unwrap();
        assert_eq!(
            retries.iter().map(|retry| retry.number).collect::<Vec<_>>(),
            [1, 1, 2],
            "one goes on being retried"
        );
        assert_eq!(retries[2].key.as_deref(), Some(&br#"{"id":2}"#[..]));
        assert_eq!(app.summary().superseded, 1);
        assert_eq!(names(&app).await, ["adopted"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_relational_errors_of_messages_with_keys_are_looked_up() {
    for app in on_each().await {
        // The pattern's topics are found at the next look at the broker's.
        for topic in ["pattern.a", "shop.visits"] {
            app.produce(topic, (), "missing").await.unwrap();
            app.produce(topic, (), "good").await.unwrap();
        }
        app.produce("pattern.b", "k", "broken").await.unwrap();
        app.produce("pattern.b", "l", "missing").await.unwrap();
        app.produce("pattern.b", "k", "good").await.unwrap();
        app.produce("pattern.b", "l", "good").await.unwrap();
        app.settle().await.unwrap();
        for _ in 0..3 {
            app.advance(MINUTE).await;
            app.settle().await.unwrap();
        }
        let reasons = |letters: Vec<django_kafka_rs::testing::DeadLetter>| {
            letters.into_iter().map(|letter| letter.summary).collect::<Vec<_>>()
        };
        assert_eq!(reasons(app.dead_letters("pattern.a").await.unwrap()), ["no such parent"], "it has no key");
        assert_eq!(reasons(app.dead_letters("pattern.b").await.unwrap()), ["broken in another way"]);
        assert_eq!(app.summary().superseded, 1);
        assert_eq!(tracked(&app, "pattern.b").await, [("k".into(), 1), ("l".into(), 1)]);
        assert!(tracked(&app, "shop.pattern.b.dlt").await.is_empty(), "dead letters are none of its business");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handlers_failure_is_superseded_too() {
    for app in on_each().await {
        execute(&app, &["ALTER TABLE django_kafka_key_offset_tracker RENAME TO away"]).await;
        app.produce("shop.visits", "k", "9").await.unwrap();
        app.produce("shop.visits", "k", "1").await.unwrap();
        for _ in 0..5 {
            app.settle().await.unwrap();
            app.advance(MINUTE).await;
        }
        assert!(app.dead_letters("shop.visits").await.unwrap().is_empty(), "a table that is away is an outage");

        execute(&app, &["ALTER TABLE away RENAME TO django_kafka_key_offset_tracker"]).await;
        let deadline = Instant::now() + DEADLINE;
        while app.summary().superseded == 0 {
            assert!(Instant::now() < deadline, "not superseded");
            app.advance(Duration::from_secs(1)).await;
            app.settle().await.unwrap();
        }
        assert!(app.dead_letters("shop.visits").await.unwrap().is_empty());
        assert_eq!(tracked(&app, "shop.visits").await, [("k".into(), 1)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_that_the_partition_does_not_have_silences_nothing() {
    const EARLIER_LIFE: &[&str] = &["INSERT INTO django_kafka_key_offset_tracker (topic, key, partition, \"offset\") \
         VALUES ('shop.visits', CAST('k' AS BYTEA), 0, 4000000000), ('shop.visits', CAST('l' AS BYTEA), 0, 4000000000)"];
    for app in on_each().await {
        // SQLite reads BYTEA as a number's name, and keeps the text as it is: as bytes it has to be written so.
        let sqlite = EARLIER_LIFE[0].replace("AS BYTEA", "AS BLOB");
        if app.sqlite(move |conn| diesel::sql_query(sqlite).execute(conn)).await.is_err() {
            execute(&app, EARLIER_LIFE).await;
        }
        app.produce("shop.visits", "k", "9").await.unwrap();
        for _ in 0..4 {
            app.settle().await.unwrap();
            app.advance(MINUTE).await;
        }
        app.settle().await.unwrap();
        assert_eq!(app.dead_letters("shop.visits").await.unwrap().len(), 1, "not superseded by a message that is gone");
        assert_eq!(app.summary().superseded, 0);
        assert_eq!(tracked(&app, "shop.visits").await, [("k".into(), 0), ("l".into(), 4_000_000_000)]);
    }
}

async fn refused(app: App) -> String {
    match app.embedded().start().await {
        Ok(handle) => {
            handle.shutdown().await.unwrap();
            "started".to_owned()
        }
        Err(error) => {
            assert!(matches!(error, StartError::Declarations(_)), "{error:?}");
            error.to_string()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn using_the_tracker_without_enabling_it_is_an_error_at_start() {
    let text = refused(App::builder().consumer(Shop).settings(Settings::default()).migrations(MIGRATIONS)).await;
    assert!(text.contains("nothing enables it: set `group_id` in `[key_offset_tracker]`"), "{text}");
    assert!(text.contains("`Child` (tests/it/tracker.rs:"), "{text}");

    let mut settings = Settings::default();
    settings.key_offset_tracker.group_id = Some("shop-key-offsets".to_owned());
    assert_eq!(refused(App::builder().consumer(Shop).settings(settings).migrations(MIGRATIONS)).await, "started");
}
