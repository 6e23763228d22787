//! Messages that refer to rows which are not there yet: they wait, in order, and nothing else does.
#![expect(clippy::unnecessary_wraps, reason = "functions in `#[sync(…)]` have the signatures that they must have")]

use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::prelude::*;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;
use serde_json::{Value, json};

diesel::table! { customers (id) { id -> BigInt, name -> Text, uid -> Nullable<Text>, } }
diesel::table! { orders (id) { id -> BigInt, customer_id -> Nullable<BigInt>, total -> BigInt, note -> Nullable<Text>, } }
diesel::table! { lines (id) { id -> BigInt, order_id -> BigInt, buyer -> Nullable<Text>, } }
diesel::table! { categories (id) { id -> BigInt, parent_id -> Nullable<BigInt>, name -> Nullable<Text>, } }

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_relations");

#[topic(name = "customers", register = false)]
#[derive(Queryable, Identifiable, DbzConsumer)]
struct Customer {
    id: i64,
    name: String,
    uid: Option<String>,
}

#[topic(name = "orders", register = false, retry(max_retries = 2, delay = "10s", blocking = false))]
#[derive(Queryable, Identifiable, Associations, DbzConsumer)]
#[diesel(belongs_to(Customer))]
#[sync(relations(auto))]
struct Order {
    id: i64,
    customer_id: Option<i64>,
    total: i64,
    note: Option<String>,
}

#[topic(name = "lines", register = false)]
#[derive(Queryable, Identifiable, Associations, DbzConsumer)]
#[diesel(belongs_to(Order))]
#[sync(relations(auto))]
struct Line {
    id: i64,
    order_id: i64,
    #[sync(relation(Customer, field = uid))]
    buyer: Option<String>,
}

#[topic(name = "categories", register = false)]
#[derive(Queryable, Identifiable, Associations, DbzConsumer)]
#[diesel(table_name = categories, belongs_to(Category, foreign_key = parent_id))]
#[sync(relations(auto))]
struct Category {
    id: i64,
    parent_id: Option<i64>,
    name: Option<String>,
}

#[consumer(group = "shop", topics(Customer, Order, Line, Category), config("auto.offset.reset" = "earliest"))]
struct Shop;

/// The shop on SQLite, and on PostgreSQL where there is one; its daemon looks by itself once a minute only.
async fn each(test: impl AsyncFn(TestApp)) {
    each_of(|| App::builder().consumer(Shop), test).await;
}

async fn each_of(app: impl Fn() -> App, test: impl AsyncFn(TestApp)) {
    let mut settings = Settings::default();
    settings.embedded.partitions = 1;
    settings.relation_resolver_daemon_interval = Duration::from_secs(60);
    let app = || app().settings(settings.clone()).migrations(MIGRATIONS);
    test(TestApp::start(app()).await.unwrap()).await;
    match std::env::var("DATABASE_URL") {
        Ok(url) if url.starts_with("postgres") => test(TestApp::start_with_postgres(app(), &url).await.unwrap()).await,
        _ => eprintln!("SKIPPED: DATABASE_URL names no PostgreSQL (postgres://…)"),
    }
}

async fn send(app: &TestApp, topic: &str, id: i64, value: Value) {
    let key = json!({ "id": id }).to_string();
    match value {
        Value::Null => app.produce(topic, key, None::<&str>).await.unwrap(),
        value => app.produce(topic, key, value.to_string()).await.unwrap(),
    };
}

fn customer(id: i64) -> Value {
    json!({ "id": id, "name": format!("c{id}"), "uid": format!("u{id}") })
}

fn order(id: i64, customer: impl Into<Option<i64>>, total: i64) -> Value {
    json!({ "id": id, "customer_id": customer.into(), "total": total, "note": "n" })
}

/// A query's column `line`.
async fn rows(app: &TestApp, sql: &'static str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        line: String,
    }
    let found = match app.sqlite(move |conn| diesel::sql_query(sql).load::<Line>(conn)).await {
        Ok(found) => found,
        Err(_) => app.pg(move |conn| diesel::sql_query(sql).load::<Line>(conn)).await.unwrap(),
    };
    found.into_iter().map(|row| row.line).collect()
}

/// `id→customer:total` of all orders.
async fn orders(app: &TestApp) -> Vec<String> {
    rows(app, "SELECT id || coalesce('→' || customer_id, '') || ':' || total AS line FROM orders ORDER BY id").await
}

/// `topic key STATUS what it waits for` of all that wait.
async fn waiting(app: &TestApp) -> Vec<String> {
    let waiting = app.waiting().await.unwrap();
    let show = |message: &django_kafka_rs::relations::WaitingMessage| {
        let key = String::from_utf8_lossy(message.record.key.as_deref().unwrap_or(b"none")).into_owned();
        let relation = message.relation.as_ref().map_or("?".to_owned(), ToString::to_string);
        format!("{} {key} {} {relation}", message.record.topic, message.status.as_str())
    };
    waiting.iter().map(show).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_wait_for_their_customer_and_the_partition_goes_on() {
    each(async |app| {
        send(&app, "orders", 1, order(1, 5, 10)).await;
        send(&app, "orders", 2, order(2, None, 20)).await;
        send(&app, "orders", 1, order(1, 5, 11)).await;
        app.settle().await.unwrap();
        assert_eq!(orders(&app).await, ["2:20"]);
        assert_eq!(
            waiting(&app).await,
            [r#"orders {"id":1} WAITING customers.id = 5"#, r#"orders {"id":1} BEHIND customers.id = 5"#]
        );
        send(&app, "customers", 5, customer(5)).await;
        app.settle().await.unwrap();
        assert_eq!(orders(&app).await, ["1→5:11", "2:20"]);
        assert_eq!(waiting(&app).await, [""; 0]);
        assert!(app.dead_letters("orders").await.unwrap().is_empty());
    })
    .await;
}
