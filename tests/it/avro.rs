//! Avro end to end: the embedded broker, and the schema registry inside the program.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::prelude::*;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_avro");

diesel::table! {
    parcels (id) {
        id -> BigInt,
        code -> Text,
        weight -> Nullable<Double>,
        sent -> Nullable<Date>,
        made -> Nullable<Timestamp>,
        note -> Text,
    }
}

// ---- A model: read by its own schema, written by an older producer's.

#[topic(name = "shop.parcels", format = avro, value_schema = "it/schemas/parcel.avsc", register = false,
        retry(max_retries = 1, delay = "1m"))]
#[derive(Debug, PartialEq, Queryable, Selectable, DbzConsumer)]
#[diesel(table_name = parcels)]
struct Parcel {
    id: i64,
    code: String,
    weight: Option<f64>,
    sent: Option<NaiveDate>,
    made: Option<NaiveDateTime>,
    note: String,
}

#[derive(Serialize)]
struct ParcelKey {
    id: i64,
}

#[derive(Serialize)]
struct ParcelWritten {
    secret: Vec<Vec<u8>>,
    label: &'static str,
    id: i32,
    weight: Option<f32>,
    sent: Option<NaiveDate>,
    made: Option<NaiveDateTime>,
}

#[topic(name = "shop.parcels", key = ParcelKey, value = ParcelWritten, format = avro, register = false,
        key_schema = "it/schemas/parcel_key.avsc", value_schema = "it/schemas/parcel_written.avsc")]
struct Parcels;

#[consumer(group = "warehouse", topics(Parcel), config("auto.offset.reset" = "earliest"))]
struct Warehouse;

fn written(id: i32, label: &'static str) -> ParcelWritten {
    ParcelWritten {
        secret: vec![vec![1, 2], vec![]],
        label,
        id,
        weight: Some(1.5),
        sent: Some("2024-02-29".parse().unwrap()),
        made: Some("2024-02-29T10:34:56.789".parse().unwrap()),
    }
}

async fn rows(app: &TestApp) -> Vec<Parcel> {
    let rows = |conn: &mut SqliteConnection| parcels::table.order(parcels::id).select(Parcel::as_select()).load(conn);
    app.sqlite(rows).await.unwrap()
}

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    settings.embedded.partitions = 1;
    change(&mut settings);
    settings
}

async fn warehouse(settings: Settings) -> TestApp {
    let app = App::builder().consumer(Warehouse).settings(settings).migrations(MIGRATIONS);
    TestApp::start(app).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_read_by_the_declared_schema_whatever_wrote_them() {
    let app = warehouse(settings(|_| {})).await;
    let kafka = app.handle().kafka();
    kafka.produce(&Parcels, ParcelKey { id: 1 }, written(1, "a")).await.unwrap();
    kafka.produce(&Parcels, ParcelKey { id: 2 }, written(2, "b")).await.unwrap();
    kafka.tombstone(&Parcels, ParcelKey { id: 2 }).await.unwrap();
    app.settle().await.unwrap();
    let expected = Parcel {
        id: 1,
        code: "a".to_owned(),
        weight: Some(1.5),
        sent: Some("2024-02-29".parse().unwrap()),
        made: Some("2024-02-29T10:34:56.789".parse().unwrap()),
        note: "read".to_owned(),
    };
    assert_eq!(rows(&app).await, [expected]);
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_costs_only_itself_and_is_a_dead_letter_that_says_why() {
    let app = warehouse(settings(|_| {})).await;
    let kafka = app.handle().kafka();
    kafka.produce(&Parcels, ParcelKey { id: 1 }, written(1, "a")).await.unwrap();
    app.settle().await.unwrap();
    // The key's schema is 1 and the value's 2: they were registered in this order.
    let key = [0, 0, 0, 0, 1, 4];
    let poison: [&[u8]; 5] =
        [&[0, 0, 0, 0, 99, 2], br#"{"id":2}"#, b"\x01sixteen bytes id", &[0, 0, 0, 0, 2, 2], &[0, 0, 0, 0, 1, 4]];
    for value in poison {
        app.produce("shop.parcels", &key, value).await.unwrap();
    }
    kafka.produce(&Parcels, ParcelKey { id: 3 }, written(3, "c")).await.unwrap();
    for _ in poison {
        app.settle().await.unwrap();
        app.advance(Duration::from_mins(1)).await;
    }
    app.settle().await.unwrap();
    assert_eq!(rows(&app).await.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 3]);
    let letters = app.dead_letters("shop.parcels").await.unwrap();
    let url = app.handle().embedded_schema_registry_url().unwrap();
    let said: Vec<_> = letters.iter().map(|letter| letter.summary.replace(url, "REGISTRY")).collect();
    expect_test::expect![[r#"
        value: the schema registry at REGISTRY has no schema with the id 99
        value: expected Avro as a schema registry's clients write it (a zero byte and the schema's id in four), but it looks like JSON, which `format = json` reads
        value: its first byte says that the schema is named by a GUID, which is Confluent's newer framing and is not read here; let the producer write the schema's id before the bytes: in Confluent's clients `key.schema.id.serializer` and `value.schema.id.serializer` are `io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer`
        the value is not a row of `parcels`: the message ends within a number
        value: messages written with the schema 1 cannot be read by the topic's schema: field `code` of the record `shop.Parcel`: the record `shop.parcels.Key` was written without it, and it has no default"#]].assert_eq(&said.join("\n"));
    assert_eq!(letters[0].value.as_deref(), Some(poison[0]));
    app.shutdown().await.unwrap();
}

// ---- A handler of one's own.

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Opened,
    Closed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Event {
    id: Uuid,
    at: DateTime<Utc>,
    total: BigDecimal,
    kind: Kind,
    tags: Vec<String>,
}

#[topic(name = "shop.events", key = String, value = Event, format = avro, key_format = string,
        value_schema = "it/schemas/event.avsc", register = false)]
struct Events;

#[topic(name = "shop.copies", key = String, value = Event, key_format = string, value_format = avro,
        register = false)]
struct Copies;

type Seen = Arc<Mutex<Vec<(String, Event)>>>;

impl TopicConsumer for Events {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        cx.state::<Seen>().lock().unwrap().push((record.key()?, record.value()?));
        Ok(())
    }
}

#[consumer(group = "events", topics(Events), config("auto.offset.reset" = "earliest"))]
struct EventLog;

fn event() -> Event {
    Event {
        id: Uuid::from_u128(1),
        at: "2024-02-29T10:34:56.789012Z".parse().unwrap(),
        total: "-12.30".parse().unwrap(),
        kind: Kind::Closed,
        tags: vec!["x".to_owned()],
    }
}

async fn event_log(seen: &Seen, settings: Settings) -> TestApp {
    TestApp::start(App::builder().consumer(EventLog).state(seen.clone()).settings(settings)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handlers_values_come_as_they_were_produced() {
    let seen = Seen::default();
    let app = event_log(&seen, settings(|_| {})).await;
    app.handle().kafka().produce(&Events, "k", &event()).await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [("k".to_owned(), event())]);
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_without_a_schema_is_written_by_its_subjects_latest() {
    let app = event_log(&Seen::default(), settings(|_| {})).await;
    let kafka = app.handle().kafka();
    let error = kafka.produce(&Copies, "k", &event()).await.unwrap_err();
    assert!(!error.is_outage());
    let said = error.to_string();
    assert!(said.starts_with("value for topic `shop.copies`: the schema registry at http://127.0.0.1:"), "{said}");
    assert!(said.contains("declare it with `value_schema = \"file.avsc\"`"), "{said}");
    let schema = include_str!("schemas/event.avsc");
    register(app.handle().embedded_schema_registry_url().unwrap(), "shop.copies-value", schema).await;
    kafka.produce(&Copies, "k", &event()).await.unwrap();
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_its_schema_is_not_produced() {
    let app = event_log(&Seen::default(), settings(|_| {})).await;
    let wrong = Event { total: "1.234".parse().unwrap(), ..event() };
    let error = app.handle().kafka().produce(&Events, "k", wrong).await.unwrap_err().to_string();
    assert!(
        error.ends_with("field `total`: 1.234 has more digits behind the point than the schema's scale, 2"),
        "{error}"
    );
    app.shutdown().await.unwrap();
}

/// Registers a schema as any client does.
async fn register(url: &str, subject: &str, schema: &str) {
    let url = url.trim_start_matches("http://").to_owned();
    let body = json!({ "schema": schema }).to_string();
    let request = format!(
        "POST /subjects/{subject}/versions HTTP/1.1\r\nHost: {url}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = tokio::task::spawn_blocking(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(url).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

// ---- A registry that is away.

/// A door before a registry: closed, every connection ends at once.
pub(super) struct Door {
    pub(super) url: String,
    pub(super) open: Arc<AtomicBool>,
    pub(super) refused: Arc<AtomicUsize>,
}

impl Door {
    pub(super) fn before(registry: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            open: Arc::default(),
            refused: Arc::default(),
        };
        let registry = registry.trim_start_matches("http://").to_owned();
        let (open, refused) = (door.open.clone(), door.refused.clone());
        // It ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if !open.load(SeqCst) {
                    refused.fetch_add(1, SeqCst);
                    continue;
                }
                let server = TcpStream::connect(&registry).unwrap();
                for (mut from, mut to) in [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))]
                    .map(|(from, to)| (from.unwrap(), to.unwrap()))
                {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        door
    }
}

pub(super) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        looks.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_is_waited_for_and_costs_no_attempt() {
    let other = event_log(&Seen::default(), settings(|_| {})).await;
    let registry = other.handle().embedded_schema_registry_url().unwrap();
    register(registry, "shop.parcels-key", include_str!("schemas/parcel_key.avsc")).await;
    register(registry, "shop.events-value", include_str!("schemas/event.avsc")).await;
    let door = Door::before(registry);
    let through_the_door = || settings(|settings| settings.schema_registry.urls = vec![door.url.clone()]);
    // Models: without the schema nobody knows that this is a deletion of no row.
    let models = warehouse(through_the_door()).await;
    models.produce("shop.parcels", &[0, 0, 0, 0, 1, 4], ()).await.unwrap();
    // A handler.
    let seen = Seen::default();
    let handler = event_log(&seen, through_the_door()).await;
    let value = [&[0, 0, 0, 0, 2, 72][..], Uuid::from_u128(1).to_string().as_bytes(), &[2, 2, 1, 0, 0]].concat();
    handler.produce("shop.events", "k", value).await.unwrap();
    until("both have asked", || door.refused.load(SeqCst) > 4).await;
    assert!(seen.lock().unwrap().is_empty());
    // What is produced meanwhile is an outage, and no fault of the value.
    let error = models.handle().kafka().produce(&Parcels, ParcelKey { id: 1 }, written(1, "a")).await.unwrap_err();
    assert!(error.is_outage(), "{error}");
    door.open.store(true, SeqCst);
    // `settle` is content with what waits.
    until("both are handled", || models.summary().handled == 1 && handler.summary().handled == 1).await;
    assert_eq!(models.dead_letters("shop.parcels").await.unwrap(), []);
    assert_eq!(handler.dead_letters("shop.events").await.unwrap(), []);
    assert_eq!(seen.lock().unwrap().len(), 1);
    for app in [models, handler, other] {
        app.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_the_registry_would_refuse_ends_the_start_where_that_is_asked() {
    let other = event_log(&Seen::default(), settings(|_| {})).await;
    let registry = other.handle().embedded_schema_registry_url().unwrap();
    register(registry, "shop.events-value", r#"{"type":"record","name":"Event","fields":[{"name":"x","type":"int"}]}"#)
        .await;
    let asking = settings(|settings| {
        settings.schema_registry.urls = vec![registry.to_owned()];
        settings.schema_registry.check_compatibility = true;
    });
    let app = App::builder().consumer(EventLog).state(Seen::default()).settings(asking);
    let error = TestApp::start(app).await.err().unwrap().to_string();
    assert!(
        error.contains("topic `Events`: the declared schema is not compatible with the latest of `shop.events-value`"),
        "{error}"
    );
    other.shutdown().await.unwrap();
}
