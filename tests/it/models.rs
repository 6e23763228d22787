//! Model topics end to end: the shapes of Debezium's messages, and what `#[sync(…)]` says.
#![expect(clippy::unnecessary_wraps, reason = "functions in `#[sync(…)]` have the signatures that they must have")]

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;
use serde_json::json;

diesel::table! {
    users (id) {
        id -> BigInt,
        name -> Text,
        email -> Nullable<Text>,
        active -> Bool,
        small -> Nullable<SmallInt>,
        ratio -> Nullable<Double>,
        born -> Nullable<Date>,
        uid -> Nullable<Text>,
        big -> Nullable<Text>,
    }
}
diesel::table! { members (id) { id -> BigInt, badge -> Text, name -> Text, visits -> Integer, origin -> Text, } }
diesel::table! { changes (id) { id -> BigInt, what -> Text, } }

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_models");

async fn start(app: App) -> TestApp {
    let mut settings = Settings::default();
    settings.embedded.partitions = 1;
    TestApp::start(app.settings(settings).migrations(MIGRATIONS)).await.unwrap()
}

// ---- The four shapes

#[derive(Debug, Queryable, Selectable, Identifiable, SyncModel)]
struct User {
    id: i64,
    name: String,
    email: Option<String>,
    active: bool,
    small: Option<i16>,
    ratio: Option<f64>,
    born: Option<chrono::NaiveDate>,
    uid: Option<String>,
    big: Option<String>,
}

#[topic(name = "smoke_json", register = false)]
#[derive(DbzConsumer)]
#[sync(model = User)]
struct Plain;
#[topic(name = "smoke_json_string", register = false)]
#[derive(DbzConsumer)]
#[sync(model = User)]
struct WithTombstones;
#[topic(name = "smoke_json_schema", register = false)]
#[derive(DbzConsumer)]
#[sync(model = User)]
struct WithSchemas;
#[topic(name = "smoke_envelope", register = false)]
#[derive(DbzConsumer)]
#[sync(model = User)]
struct InEnvelopes;

#[consumer(group = "smoke", topics(Plain, WithTombstones, WithSchemas, InEnvelopes))]
struct Smoke;

/// Key and value of each captured message.
fn captured(name: &str) -> Vec<[Option<Vec<u8>>; 2]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data").join(name).with_extension("jsonl");
    let part = |line: &serde_json::Value, part: &str| line[part].as_str().map(|text| STANDARD.decode(text).unwrap());
    let lines = std::fs::read_to_string(path).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.map(|line| [part(&line, "key"), part(&line, "value")]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn four_shapes_of_one_change_stream_give_the_same_rows() {
    let app = start(App::builder().consumer(Smoke)).await;
    let expected =
        [(1, "one again", None, None), (30, "", Some(chrono::NaiveDate::from_ymd_opt(1, 1, 1).unwrap()), None)];
    for shape in ["smoke_json", "smoke_json_string", "smoke_json_schema", "smoke_envelope"] {
        for [key, value] in captured(shape) {
            app.produce(shape, key, value).await.unwrap();
        }
        app.settle().await.unwrap();
        let letters = app.dead_letters(shape).await.unwrap();
        assert!(letters.is_empty(), "{shape}: {letters:?}");
        let rows: Vec<User> =
            app.sqlite(|conn| users::table.order(users::id).select(User::as_select()).load(conn)).await.unwrap();
        let found: Vec<_> = rows.iter().map(|u| (u.id, u.name.as_str(), u.born, u.uid.clone())).collect();
        assert_eq!(found, expected, "{shape}");
        // The value that was unavailable in the update stayed.
        let big = rows[0].big.as_deref().unwrap();
        assert!(big.len() == 9_000 && big.bytes().all(|byte| byte == b'b'), "{shape}");
        app.sqlite(|conn| diesel::delete(users::table).execute(conn)).await.unwrap();
    }
}

// ---- Options

#[topic(name = "hr.members", register = false)]
#[derive(Queryable, Selectable, ModelTopicConsumer)]
#[sync(lookup(badge = key), deleted_field = "left", after = note, reduce(off))]
struct Member {
    #[sync(skip)]
    id: i64,
    badge: String,
    name: String,
    #[sync(default)]
    visits: i32,
    #[sync(compute = origin)]
    origin: String,
}

fn origin(cx: &SyncContext<'_>) -> String {
    format!("{}@{}", cx.topic(), cx.offset())
}

fn note(cx: &SyncContext<'_>, applied: Applied, conn: &mut DbConn) -> Result<(), ConsumeError> {
    let what = format!("{} {applied:?}", cx.offset());
    match conn {
        DbConn::Sqlite(conn) => diesel::insert_into(changes::table).values(changes::what.eq(what)).execute(conn)?,
        DbConn::Pg(_) => unreachable!("these tests run on SQLite"),
    };
    Ok(())
}

#[topic(name = "hr.badges", register = false)]
#[derive(ModelTopicConsumer)]
#[sync(model = Member, lookup_with = by_badge, is_deletion = is_return)]
struct Badges;

fn by_badge(cx: &SyncContext<'_>) -> Result<Lookup<Member>, ConsumeError> {
    match cx.value::<serde_json::Value>()?["badge"].as_str() {
        Some("nobody") => Err(ConsumeError::skip("nobody's badge")),
        Some(badge) => Ok(Lookup::by(members::badge, badge)),
        None => Err("a badge without its name".into()),
    }
}

fn is_return(cx: &SyncContext<'_>) -> Result<bool, ConsumeError> {
    Ok(cx.headers().get("kind") == Some(b"return"))
}

#[consumer(group = "hr", topics(Member, Badges))]
struct Hr;

async fn members_of(app: &TestApp) -> Vec<String> {
    let rows: Vec<Member> =
        app.sqlite(|conn| members::table.order(members::badge).select(Member::as_select()).load(conn)).await.unwrap();
    rows.iter().map(|m| format!("{} {} {} {} {}", m.id, m.badge, m.name, m.visits, m.origin)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_deleted_filled_and_noted_as_sync_says() {
    let app = start(App::builder().consumer(Hr)).await;
    let messages = [
        ("E1", json!({ "name": "Ada", "visits": 7 })),
        ("E2", json!({ "name": "Bob" })),
        ("E1", json!({ "name": "Ada L." })),
        ("E3", json!({ "name": "Cyd" })),
        ("E3", json!({ "left": true })),
        ("E2", json!({ "left": "FALSE", "visits": 2 })),
    ];
    for (key, value) in messages {
        app.produce("hr.members", key, value).await.unwrap();
    }
    app.settle().await.unwrap();
    assert_eq!(members_of(&app).await, ["1 E1 Ada L. 7 hr.members@2", "2 E2 Bob 2 hr.members@5"]);
    let changes: Vec<String> =
        app.sqlite(|conn| changes::table.order(changes::id).select(changes::what).load(conn)).await.unwrap();
    assert_eq!(changes, ["0 Upserted", "1 Upserted", "2 Upserted", "3 Upserted", "4 Deleted", "5 Upserted"]);

    let mut returned = Headers::new();
    returned.push("kind", Some(b"return".to_vec()));
    app.produce("hr.badges", (), json!({ "badge": "E1", "name": "Ada King" })).await.unwrap();
    app.produce("hr.badges", (), json!({ "badge": "nobody" })).await.unwrap();
    app.produce("hr.badges", (), json!({ "name": "no badge" })).await.unwrap();
    app.produce_with("hr.badges", (), json!({ "badge": "E2" }), returned, None).await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(members_of(&app).await, ["1 E1 Ada King 7 hr.badges@0"]);
    let letters = app.dead_letters("hr.badges").await.unwrap();
    assert_eq!(letters.iter().map(|l| l.summary.as_str()).collect::<Vec<_>>(), ["a badge without its name"]);
}

#[topic(name = "full", register = false)]
#[derive(DbzConsumer)]
#[sync(model = User, envelope = full)]
struct Full;
#[topic(name = "flat", register = false)]
#[derive(DbzConsumer)]
#[sync(model = User, envelope = flat)]
struct Flat;

#[consumer(group = "shapes", topics(Full, Flat))]
struct Shapes;

#[tokio::test(flavor = "multi_thread")]
async fn envelopes_are_taken_as_they_are_declared() {
    let app = start(App::builder().consumer(Shapes)).await;
    let row = |id: i64| json!({ "id": id, "name": "x", "active": true });
    let envelope = |id: i64| json!({ "op": "c", "before": null, "after": row(id) });
    for (topic, one, two) in [("full", 1, 2), ("flat", 3, 4)] {
        // `envelope = full` needs no `source` to know one.
        app.produce(topic, json!({ "id": one }), envelope(one)).await.unwrap();
        app.produce(topic, json!({ "id": two }), row(two)).await.unwrap();
    }
    app.settle().await.unwrap();
    let summary = async |topic| app.dead_letters(topic).await.unwrap()[0].summary.clone();
    assert_eq!(
        summary("full").await,
        "expected Debezium's envelope (`before`, `after`, `source`, `op`), as `envelope = full` says, found another \
         value: it begins with \"{\\\"active\\\":true,\\\"id\\\":2,\\\"name\\\":\\\"x\\\"}\""
    );
    // Its fields are not the row's, so the row lacks what it needs.
    assert!(summary("flat").await.contains("NOT NULL constraint failed"));
    let ids: Vec<i64> = app.sqlite(|conn| users::table.order(users::id).select(users::id).load(conn)).await.unwrap();
    assert_eq!(ids, [1, 4]);
}
