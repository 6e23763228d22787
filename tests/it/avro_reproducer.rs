//! A table's events in Avro, as Debezium's converter writes them, told on as a public topic in Avro.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use bigdecimal::BigDecimal;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::prelude::*;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::avro::{Door, until};

diesel::table! { purchases (id) { id -> BigInt, item -> Text, price -> BigInt, } }

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("reproducer_migrations");

// ---- In place of Debezium: what its connector and Kafka Connect's Avro converter write.

#[derive(Serialize)]
struct RowKey {
    id: i64,
}

#[derive(Clone, Serialize)]
struct Row {
    id: i64,
    price: BigDecimal,
    raw: Vec<u8>,
    born: i32,
    kafka_skip: bool,
}

#[derive(Serialize)]
struct Envelope {
    before: Option<Row>,
    after: Option<Row>,
    source: Source,
    op: &'static str,
}

#[derive(Serialize)]
struct Source {
    db: &'static str,
}

#[topic(name = "dbz.purchases", key = RowKey, value = Envelope, format = avro, register = false,
        key_schema = "it/schemas/purchase_key.avsc", value_schema = "it/schemas/purchase_envelope.avsc")]
struct Debezium;

fn row(id: i64) -> Row {
    Row { id, price: "12.50".parse().unwrap(), raw: vec![0, 255], born: -1, kafka_skip: false }
}

fn written(op: &'static str, after: Row) -> Envelope {
    Envelope { before: None, after: Some(after), source: Source { db: "shop" }, op }
}

// ---- The public topic, and a replica of it.

#[derive(Queryable, Selectable, Identifiable)]
struct Purchase {
    id: i64,
    item: String,
    price: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Public {
    what: String,
    price: i64,
}

#[topic(name = "public", key = i64, value = Public, format = avro, register = false,
        key_schema = "it/schemas/public_key.avsc", value_schema = "it/schemas/public.avsc")]
#[derive(TopicReproducer)]
#[reproduce(model = Purchase, namespace = "dbz")]
struct PublicPurchases;

/// Keys and rows as the reproducer saw them.
type Seen = Arc<Mutex<Vec<serde_json::Value>>>;

impl Reproduce for PublicPurchases {
    type Model = Purchase;

    async fn upsert(&self, purchase: Purchase, record: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
        cx.state::<Seen>().lock().unwrap().push(json!([record.key()?, record.value()?]));
        let Purchase { id, item, price } = purchase;
        cx.produce(self, id, Public { what: item, price }).await?;
        Ok(())
    }

    async fn delete(&self, id: i64, _: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
        cx.tombstone(self, id).await?;
        Ok(())
    }
}

#[consumer(group = "public", topics(Reproducer<PublicPurchases>), config("auto.offset.reset" = "earliest"))]
struct Publisher;

type Told = Arc<Mutex<Vec<(i64, Option<Public>)>>>;

#[topic(name = "public", key = i64, value = Public, format = avro, register = false)]
struct SeesPublic;

impl TopicConsumer for SeesPublic {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        cx.state::<Told>().lock().unwrap().push((record.key()?, record.value_opt()?));
        Ok(())
    }
}

#[consumer(group = "sees", topics(SeesPublic), config("auto.offset.reset" = "earliest"))]
struct Sees;

fn publisher(seen: &Seen) -> App {
    publisher_with(seen, |_| {})
}

fn publisher_with(seen: &Seen, change: impl FnOnce(&mut Settings)) -> App {
    let mut settings = Settings::default();
    settings.embedded.partitions = 1;
    change(&mut settings);
    App::builder().consumer(Publisher).settings(settings).state(seen.clone()).migrations(MIGRATIONS)
}

#[tokio::test(flavor = "multi_thread")]
async fn debeziums_events_in_avro_are_told_on_in_avro() {
    let (seen, told) = (Seen::default(), Told::default());
    let app = TestApp::start(publisher(&seen).consumer(Sees).state(told.clone())).await.unwrap();
    let kafka = app.handle().kafka();
    kafka.produce(&Debezium, RowKey { id: 1 }, written("c", row(1))).await.unwrap();
    // Whoever wrote this row has told of it.
    kafka.produce(&Debezium, RowKey { id: 2 }, written("u", Row { kafka_skip: true, ..row(2) })).await.unwrap();
    let deleted = Envelope { before: Some(row(3)), after: None, source: Source { db: "shop" }, op: "d" };
    kafka.produce(&Debezium, RowKey { id: 3 }, deleted).await.unwrap();
    kafka.tombstone(&Debezium, RowKey { id: 4 }).await.unwrap();
    // The same topic may have had JSON before.
    app.produce("dbz.purchases", r#"{"id":2}"#, r#"{"id":2,"price":1}"#).await.unwrap();
    app.settle().await.unwrap();
    let public = |what: &str, price| Some(Public { what: what.to_owned(), price });
    assert_eq!(*told.lock().unwrap(), [(1, public("bowl", 10)), (3, None), (4, None), (2, public("net", 20))]);
    let row = json!({ "id": 1, "price": "12.50", "raw": "AP8=", "born": -1, "kafka_skip": false });
    assert_eq!(*seen.lock().unwrap(), [json!([{ "id": 1 }, row]), json!([{ "id": 2 }, { "id": 2, "price": 1 }])]);
    assert_eq!(app.dead_letters("dbz.purchases").await.unwrap(), []);
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_schema_is_not_there_is_its_own_failure() {
    let app = TestApp::start(publisher(&Seen::default())).await.unwrap();
    let poison: [&[u8]; 3] = [&[0, 0, 0, 0, 99, 2], b"\x01sixteen bytes id", b"abc"];
    for value in poison {
        app.produce("dbz.purchases", r#"{"id":1}"#, value).await.unwrap();
    }
    app.settle().await.unwrap();
    let letters = app.dead_letters("dbz.purchases").await.unwrap();
    let url = app.handle().embedded_schema_registry_url().unwrap();
    let said: Vec<_> = letters.iter().map(|letter| letter.summary.replace(url, "REGISTRY")).collect();
    expect_test::expect![[r#"
        value: the schema registry at REGISTRY has no schema with the id 99
        value: its first byte says that the schema is named by a GUID, which is Confluent's newer framing and is not read here; let the producer write the schema's id before the bytes: in Confluent's clients `key.schema.id.serializer` and `value.schema.id.serializer` are `io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer`
        value: expected an event as JSON or Avro: expected value at line 1 column 1"#]].assert_eq(&said.join("\n"));
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_waits_for_a_registry_that_is_away() {
    // Another program has the registry, and has written the event there.
    let other = TestApp::start(publisher(&Seen::default())).await.unwrap();
    let door = Door::before(other.handle().embedded_schema_registry_url().unwrap());
    other.handle().kafka().produce(&Debezium, RowKey { id: 1 }, written("c", row(1))).await.unwrap();
    let seen = Seen::default();
    let app = publisher_with(&seen, |settings| settings.schema_registry.urls = vec![door.url.clone()]);
    let app = TestApp::start(app).await.unwrap();
    // The key's schema is 1 there. A tombstone: its value needs none.
    app.produce("dbz.purchases", &[0, 0, 0, 0, 1, 2], ()).await.unwrap();
    until("it has asked", || door.refused.load(SeqCst) > 1).await;
    assert_eq!(app.summary().handled, 0);
    door.open.store(true, SeqCst);
    until("it is handled", || app.summary().handled == 1).await;
    assert_eq!(app.dead_letters("dbz.purchases").await.unwrap(), []);
    for app in [app, other] {
        app.shutdown().await.unwrap();
    }
}
