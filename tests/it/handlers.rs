//! What a service with a `main` of its own and its handlers can do: start, stop, state, the database, producing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;
use django_kafka_rs::producer::Kafka;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;
use serde::{Deserialize, Serialize};

diesel::table! { pets (id) { id -> BigInt, name -> Text, } }

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    id: i64,
    pet: String,
}

/// A format of our own: `id;pet`.
struct Semicolons;
impl Decode<Order> for Semicolons {
    fn decode(bytes: &[u8]) -> Result<Order, DecodeError> {
        let text = std::str::from_utf8(bytes).map_err(|e| DecodeError::caused_by("expected text", e))?;
        let (id, pet) =
            text.split_once(';').ok_or_else(|| DecodeError::new(format!("expected `id;pet`, found `{text}`")))?;
        let id = id.parse().map_err(|e| DecodeError::caused_by(format!("`{id}` is no id"), e))?;
        Ok(Order { id, pet: pet.to_owned() })
    }
}
impl Encode<Order> for Semicolons {
    fn encode(order: &Order) -> Result<Vec<u8>, EncodeError> {
        if order.pet.contains(';') {
            return Err(EncodeError::caused_by("a name with a `;`", std::fmt::Error));
        }
        Ok(format!("{};{}", order.id, order.pet).into_bytes())
    }
}
/// The same as a row.
impl Decode<serde_json::Value> for Semicolons {
    fn decode(bytes: &[u8]) -> Result<serde_json::Value, DecodeError> {
        let order = <Self as Decode<Order>>::decode(bytes)?;
        Ok(serde_json::json!({ "id": order.id, "name": order.pet }))
    }
}

/// A topic with fields: its value is given to the application.
#[topic(name = "${prefix}.orders", key_format = bytes, value = Order, value_format = Semicolons, register = false)]
struct Orders {
    greeting: &'static str,
}

#[topic(name = "${prefix}.done", key = String, value = Order, register = false)]
struct Done;

#[derive(Default)]
struct Ids(Mutex<BTreeSet<i64>>);

impl TopicConsumer for Orders {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let key: Vec<u8> = record.key()?;
        let order: Order = record.value()?;
        let (id, name) = (order.id, format!("{} {}", self.greeting, order.pet));
        let known: i64 = cx
            .db(move |conn: &mut DbConn| match conn {
                DbConn::Sqlite(conn) => {
                    diesel::insert_into(pets::table).values((pets::id.eq(id), pets::name.eq(name))).execute(conn)?;
                    if id < 0 {
                        return Err(ConsumeError::dead_letter("a negative id"));
                    }
                    Ok(pets::table.count().get_result(conn)?)
                }
                DbConn::Pg(_) => unreachable!("these tests run on SQLite"),
            })
            .await?;
        cx.state::<Ids>().0.lock().unwrap().insert(known);
        let key = String::from_utf8(key)?;
        match order.pet.as_str() {
            "gone" => cx.tombstone(&Done, key).await.map(drop)?,
            "quick" => cx.enqueue(&Done, &key, order).await?,
            "marked" => {
                let message = cx.message(&Done).key(&key).value(&order).header("by", "us").header("by", "again");
                message.partition(0).timestamp_ms(5).send().await?;
            }
            _ => drop(cx.produce(&Done, &key, &order).await?),
        }
        Ok(())
    }
}

#[topic(name = "${prefix}.done", register = false)]
struct Echo;
impl TopicConsumer for Echo {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let headers: Vec<_> = record
            .headers()
            .iter()
            .map(|(n, v)| format!("{n}={}", String::from_utf8_lossy(v.unwrap_or(b"-"))))
            .collect();
        let at = record.timestamp().filter(|at| at.timestamp_millis() == 5).map_or("now", |_| "then");
        let value = record.value_opt()?.unwrap_or_else(|| "tombstone".to_owned());
        let text = format!("{} {value} {at} {}", record.key()?, headers.join(" "));
        cx.state::<Texts>().0.lock().unwrap().push(text.trim().to_owned());
        Ok(())
    }
}

/// What `Echo` was sent.
#[derive(Default, Clone)]
struct Texts(Arc<Mutex<Vec<String>>>);

#[consumer(group = "${prefix}-shop", topics(Orders, Echo))]
struct Shop;
#[consumer(group = "${prefix}-second", topics(Orders))]
struct Second;

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.topic_variables.insert("prefix".into(), "pet".into());
    settings
}

fn app(texts: Texts) -> App {
    App::builder()
        .topic(Orders { greeting: "dear" })
        .declare::<Done>()
        .settings(settings())
        .state(Ids::default())
        .state(texts)
        .migrations(MIGRATIONS)
}

fn order(id: i64, pet: &str) -> Order {
    Order { id, pet: pet.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_with_a_main_of_its_own() {
    let handle = app(Texts::default()).consumer(Shop).embedded().start().await.unwrap();
    let kafka: Kafka = handle.kafka();
    assert!(handle.embedded_bootstrap_servers().is_some());
    let topic = Orders { greeting: "unused" };
    for id in 0..10 {
        kafka.produce(&topic, vec![b'k'], order(id, "rex")).await.unwrap();
    }
    let refused = kafka.produce(&topic, vec![b'k'], order(1, "a;b")).await.unwrap_err();
    assert_eq!(refused.to_string(), "value for topic `pet.orders`: a name with a `;`");
    while handle.summary().handled < 20 {
        tokio::task::yield_now().await;
    }
    let (shut, waited) = tokio::join!(handle.shutdown(), handle.wait());
    assert_eq!(shut.unwrap(), waited.unwrap());
    assert_eq!((handle.summary().handled, handle.summary().dead_lettered), (20, 0));
    // Asked again, it has nothing to do.
    assert_eq!(handle.shutdown().await.unwrap().handled, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_write_and_produce() {
    let mut settings = settings();
    settings.embedded.partitions = 1;
    let texts = Texts::default();
    let app = TestApp::start(app(texts.clone()).consumer(Shop).settings(settings)).await.unwrap();
    for (key, value) in [
        ("a", "1;rex"),
        ("b", "2;gone"),
        ("c", "3;quick"),
        ("d", "4;marked"),
        ("e", "-1;rex"),
        ("f", "1;again"),
        ("g", "rex"),
    ] {
        app.produce("pet.orders", key, value).await.unwrap();
    }
    app.settle().await.unwrap();
    let letters = app.dead_letters("pet.orders").await.unwrap();
    assert_eq!(
        letters.iter().map(|l| l.summary.as_str()).collect::<Vec<_>>(),
        ["a negative id", "UNIQUE constraint failed: pets.id", "value: expected `id;pet`, found `rex`"]
    );
    // What a handler wrote before it failed is rolled back.
    let pets: Vec<(i64, String)> =
        app.sqlite(|conn| pets::table.order(pets::id).select((pets::id, pets::name)).load(conn)).await.unwrap();
    let pets: Vec<_> = pets.iter().map(|(id, name)| format!("{id} {name}")).collect();
    assert_eq!(pets, ["1 dear rex", "2 dear gone", "3 dear quick", "4 dear marked"]);
    assert_eq!(
        *texts.0.lock().unwrap(),
        [
            r#"a {"id":1,"pet":"rex"} now"#,
            "b tombstone now",
            r#"c {"id":3,"pet":"quick"} now"#,
            r#"d {"id":4,"pet":"marked"} then by=us by=again"#,
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_s_value_serves_all_consumers() {
    let app = TestApp::start(app(Texts::default()).consumer(Shop).consumer(Second)).await.unwrap();
    app.produce("pet.orders", "a", "not an order").await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(app.dead_letters("pet.orders").await.unwrap().len(), 2);
}

// ---- The same format, read into a model

#[topic(name = "pets.semicolons", key_format = string, value_format = Semicolons, register = false)]
#[derive(Queryable, Selectable, ModelTopicConsumer)]
struct Pet {
    id: i64,
    name: String,
}

#[consumer(group = "pets", topics(Pet))]
struct Pets;

#[tokio::test(flavor = "multi_thread")]
async fn a_format_of_the_user_s_own_feeds_a_model() {
    let app = TestApp::start(App::builder().consumer(Pets).migrations(MIGRATIONS)).await.unwrap();
    app.produce("pets.semicolons", "1", "1;rex").await.unwrap();
    app.produce("pets.semicolons", "2", "2;").await.unwrap();
    app.produce("pets.semicolons", "2", ()).await.unwrap();
    app.produce("pets.semicolons", "3", "three;cats").await.unwrap();
    app.settle().await.unwrap();
    let pets: Vec<Pet> = app.sqlite(|conn| pets::table.select(Pet::as_select()).load(conn)).await.unwrap();
    assert_eq!(pets.iter().map(|p| (p.id, p.name.as_str())).collect::<Vec<_>>(), [(1, "rex")]);
    let letters = app.dead_letters("pets.semicolons").await.unwrap();
    assert_eq!(letters.iter().map(|l| l.summary.as_str()).collect::<Vec<_>>(), ["value: `three` is no id"]);
}

// ---- A database that is away

/// The error of a handler that hides what the database said.
#[derive(Debug, thiserror::Error)]
#[error("my own words")]
struct MyOwnWords;

#[topic(name = "patient", register = false)]
struct Patient;
impl TopicConsumer for Patient {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let name = record.value()?;
        assert_eq!(record.attempt(), 0, "waiting for the database is no attempt");
        let write = cx.sqlite(move |conn| {
            diesel::insert_into(pets::table).values((pets::id.eq(1), pets::name.eq(name))).execute(conn)
        });
        write.await.map_err(|_| MyOwnWords)?;
        Ok(())
    }
}

#[consumer(group = "patients", topics(Patient))]
struct Patients;

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_waits_for_a_database_that_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pets.sqlite3").to_str().unwrap().to_owned();
    let mut settings = Settings::default();
    settings.database_url = Some(path.clone());
    settings.database.busy_timeout = Duration::from_millis(10);
    let app = App::builder().consumer(Patients).settings(settings).migrations(MIGRATIONS);
    let app = TestApp::start(app).await.unwrap();
    let mut other = SqliteConnection::establish(&path).unwrap();
    diesel::sql_query("BEGIN IMMEDIATE").execute(&mut other).unwrap();
    app.produce("patient", "key", "rex").await.unwrap();
    for _ in 0..3 {
        app.settle().await.unwrap();
        app.advance(Duration::from_secs(30)).await;
    }
    assert_eq!(app.summary().handled, 0);
    diesel::sql_query("COMMIT").execute(&mut other).unwrap();
    app.settle().await.unwrap();
    app.advance(Duration::from_secs(30)).await;
    app.settle().await.unwrap();
    assert_eq!((app.summary().handled, app.summary().dead_lettered), (1, 0));
    // An error of the row itself is the handler's own.
    app.produce("patient", "key", "again").await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(app.dead_letters("patient").await.unwrap()[0].summary, "my own words");
}
