//! Change events of a table, told on as messages of a public topic. On SQLite, and on PostgreSQL where `DATABASE_URL`
//! names one.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::prelude::*;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;
use serde::{Deserialize, Serialize};
use serde_json::json;

diesel::table! { purchases (id) { id -> BigInt, item -> Text, price -> BigInt, } }
diesel::table! { stocks (shop, day) { shop -> Text, day -> Date, pieces -> BigInt, } }

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("reproducer_migrations");

#[derive(Queryable, Selectable, Identifiable)]
struct Purchase {
    id: i64,
    item: String,
    price: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct PublicPurchase {
    what: String,
    price: i64,
    /// What the event says, beside what the row says.
    seen: i64,
}

#[topic(name = "purchases", key = i64, key_format = json, value = PublicPurchase, register = false)]
#[derive(TopicReproducer)]
#[reproduce(model = Purchase, namespace = "${prefix}.public")]
struct PublicPurchases;

impl Reproduce for PublicPurchases {
    type Model = Purchase;

    async fn upsert(&self, purchase: Purchase, record: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
        let seen = record.value()?["price"].as_i64().ok_or("no price")?;
        let Purchase { id, item, price } = purchase;
        assert_eq!(record.key()?, json!({ "id": id }));
        cx.produce(self, id, PublicPurchase { what: item.to_uppercase(), price, seen }).await?;
        Ok(())
    }

    async fn delete(&self, id: i64, _: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
        cx.tombstone(self, id).await?;
        Ok(())
    }
}

#[derive(Queryable, Selectable, Identifiable)]
#[diesel(primary_key(shop, day))]
struct Stock {
    shop: String,
    day: chrono::NaiveDate,
    pieces: i64,
}

/// Its key has two columns, one of them a date; its topic has a name of its own, and the settings' namespace.
#[topic(name = "stocks", key = String, value = i64, register = false)]
#[derive(TopicReproducer)]
#[reproduce(model = Stock, name = "raw")]
struct PublicStocks {}

impl Reproduce for PublicStocks {
    type Model = Stock;

    async fn upsert(&self, stock: Stock, _: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
        cx.produce(self, format!("{} {}", stock.shop, stock.day), stock.pieces).await?;
        Ok(())
    }

    async fn delete(
        &self,
        (shop, day): (String, chrono::NaiveDate),
        _: &Record<Reproducer<Self>>,
        cx: &Context,
    ) -> ConsumeResult {
        cx.tombstone(self, format!("{shop} {day}")).await?;
        Ok(())
    }
}

/// No model: all is its own.
#[topic(name = "echoes", key = String, value = String, register = false)]
#[derive(TopicReproducer)]
#[reproduce(name = "told")]
struct Echoes;

impl Reproduce for Echoes {
    type Model = ();

    async fn reproduce(&self, record: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
        cx.produce(self, record.key()?.to_string(), record.value()?.to_string()).await?;
        Ok(())
    }
}

#[consumer(
    group = "public",
    topics(Reproducer<PublicPurchases>, Reproducer<PublicStocks>, Reproducer<Echoes>),
    config("auto.offset.reset" = "earliest")
)]
struct Public;

// ---- What the public topics were sent

#[derive(Default, Clone)]
struct Sent(Arc<Mutex<Vec<String>>>);

macro_rules! sees {
    ($($name:ident $topic:literal),*) => { $(
        #[topic(name = $topic, register = false)]
        struct $name;
        impl TopicConsumer for $name {
            async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
                let value = record.value_opt()?.unwrap_or_else(|| "-".to_owned());
                cx.state::<Sent>().0.lock().unwrap().push(format!("{} {} {value}", record.topic(), record.key()?));
                Ok(())
            }
        }
    )* };
}
sees!(SeesPurchases "purchases", SeesStocks "stocks", SeesEchoes "echoes");

#[consumer(group = "sees", topics(SeesPurchases, SeesStocks, SeesEchoes))]
struct Sees;

async fn tells_events_on(app: TestApp, sent: &Sent) {
    let (purchases, stocks) = ("shop.public.purchases", "dbz.raw");
    let source = json!({"db": "shop"});
    let event = async |topic: &str, key: serde_json::Value, value: serde_json::Value| {
        app.produce(topic, key, value).await.unwrap();
    };
    event(purchases, json!({"id": 1}), json!({"id": 1, "item": "old", "price": 9, "__deleted": "false"})).await;
    // Whoever wrote this row has told of it.
    event(purchases, json!({"id": 2}), json!({"id": 2, "item": "net", "price": 20, "kafka_skip": true})).await;
    let row = json!({"id": 2, "item": "net", "price": 20, "kafka_skip": false});
    let envelope = json!({"op": "u", "source": source, "before": null, "after": row});
    event(purchases, json!({"schema": null, "payload": {"id": 2}}), json!({"schema": null, "payload": envelope})).await;
    // Gone by now: no error, and nothing to tell.
    event(purchases, json!({"id": 77}), json!({"id": 77, "item": "gone", "price": 1})).await;
    // A deletion is told whatever the mark says.
    event(purchases, json!({"id": 3}), json!({"id": 3, "price": 0, "kafka_skip": true, "__deleted": "true"})).await;
    event(purchases, json!({"id": 4}), json!({"op": "d", "source": source, "before": {"id": 4}, "after": null})).await;
    app.produce(purchases, json!({"id": 5}), ()).await.unwrap();
    event(stocks, json!({"shop": "north", "day": 365}), json!({"shop": "north", "day": 365, "pieces": 1})).await;
    app.produce(stocks, json!({"shop": "south", "day": 0}), ()).await.unwrap();
    event("dbz.told", json!({"id": 1}), json!({"id": 1})).await;
    // What cannot be told on.
    event(purchases, json!({"number": 1}), json!({"item": "x", "price": 1})).await;
    event(purchases, json!({"id": "one"}), json!({"item": "x", "price": 1})).await;
    app.settle().await.unwrap();
    let sent = std::mem::take(&mut *sent.0.lock().unwrap());
    let of = |topic: &str| sent.iter().filter(|line| line.starts_with(topic)).cloned().collect::<Vec<_>>();
    assert_eq!(
        of("purchases"),
        [
            r#"purchases 1 {"what":"BOWL","price":10,"seen":9}"#,
            r#"purchases 2 {"what":"NET","price":20,"seen":20}"#,
            "purchases 3 -",
            "purchases 4 -",
            "purchases 5 -",
        ]
    );
    assert_eq!(of("stocks"), ["stocks north 1971-01-01 7", "stocks south 1970-01-01 -"]);
    assert_eq!(of("echoes"), [r#"echoes {"id":1} {"id":1}"#]);
    let letters = app.dead_letters(purchases).await.unwrap();
    let summaries: Vec<_> = letters.iter().map(|letter| letter.summary.as_str()).collect();
    assert_eq!(
        summaries,
        [
            r#"the primary key's `id` is neither in the event's key nor in its row; the key is {"number":1}"#,
            "the primary key: expected an integer (i64, -9223372036854775808 to 9223372036854775807), found the text \"one\"",
        ]
    );
    assert_eq!(app.dead_letters(stocks).await.unwrap(), []);
}

fn app(sent: &Sent) -> App {
    let mut settings = Settings::default();
    settings.topic_variables.insert("prefix".into(), "shop".into());
    settings.reproducer_config.namespace = Some("dbz".to_owned());
    settings.embedded.partitions = 1;
    App::builder().consumer(Public).consumer(Sees).settings(settings).state(sent.clone()).migrations(MIGRATIONS)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_on_with_rows_of_sqlite() {
    let sent = Sent::default();
    tells_events_on(TestApp::start(app(&sent)).await.unwrap(), &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_on_with_rows_of_postgres() {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: reproducers on PostgreSQL: set DATABASE_URL");
        return;
    };
    let sent = Sent::default();
    tells_events_on(TestApp::start_with_postgres(app(&sent), &url).await.unwrap(), &sent).await;
}

// ---- A topic that is given to the application, and a model that only PostgreSQL can store

mod only_on_postgres {
    use super::*;

    diesel::table! { tanks (id) { id -> Uuid, sizes -> Array<Integer>, } }

    #[derive(Queryable, Selectable, Identifiable)]
    pub(super) struct Tank {
        pub(super) id: uuid::Uuid,
        pub(super) sizes: Vec<i32>,
    }
}

#[topic(name = "tanks", key = String, value = Vec<i32>, register = false)]
#[derive(TopicReproducer)]
#[reproduce(model = only_on_postgres::Tank)]
struct PublicTanks;

impl Reproduce for PublicTanks {
    type Model = only_on_postgres::Tank;

    async fn upsert(&self, tank: only_on_postgres::Tank, _: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
        cx.produce(self, tank.id.to_string(), tank.sizes).await?;
        Ok(())
    }

    async fn delete(&self, id: uuid::Uuid, _: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
        cx.tombstone(self, id.to_string()).await?;
        Ok(())
    }
}

#[consumer(group = "tanks", topics(Reproducer<PublicTanks>))]
struct Tanks;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_load_the_model_says_so() {
    let app = App::builder().consumer(Tanks).topic(Reproducer::new(PublicTanks));
    let app = TestApp::start(app).await.unwrap();
    // Without a namespace: the table alone.
    let id = json!({"id": "00000000-0000-0000-0000-000000000001"});
    app.produce("tanks", id.clone(), id.clone()).await.unwrap();
    app.settle().await.unwrap();
    let letters = app.dead_letters("tanks").await.unwrap();
    assert_eq!(
        letters[0].summary,
        "SQLite cannot load the model: derive `Queryable` and `Selectable`, with types that it has"
    );
}
