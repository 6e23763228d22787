//! Messages that refer to rows which are not there yet: they wait, in order, and nothing else does.

mod replaced;

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

#[consumer(group = "shop", topics(Customer, Order, Line, Category), offsets = "database")]
struct ExactShop;

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
    let mut waiting: Vec<String> = waiting.iter().map(show).collect();
    // Messages of one key in their order; topics are read side by side.
    waiting.sort_by(|a, b| a.split(' ').take(2).cmp(b.split(' ').take(2)));
    waiting
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_wait_for_their_customer_and_the_partition_goes_on() {
    let test = async |app: TestApp| {
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
    };
    each(test).await;
    each_of(|| App::builder().consumer(ExactShop), test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_has_gone_to_a_parent_that_is_there_waits_no_more_for_the_first() {
    each(async |app| {
        send(&app, "customers", 6, customer(6)).await;
        app.settle().await.unwrap();
        // Customer 5 was deleted before it came here, and never comes.
        send(&app, "orders", 1, order(1, 5, 10)).await;
        app.settle().await.unwrap();
        assert_eq!(waiting(&app).await.len(), 1);
        // TOAST: what has not changed is not said, and taken from the message that waits.
        send(&app, "orders", 1, json!({ "id": 1, "customer_id": 6, "note": "__debezium_unavailable_value" })).await;
        app.settle().await.unwrap();
        assert_eq!(orders(&app).await, ["1→6:10"]);
        assert_eq!(rows(&app, "SELECT note AS line FROM orders").await, ["n"]);
        assert_eq!(waiting(&app).await, [""; 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_ends_what_waits_of_its_key_and_never_waits_for_a_parent() {
    each(async |app| {
        send(&app, "orders", 1, order(1, 5, 10)).await;
        send(&app, "orders", 2, order(2, 5, 10)).await;
        send(&app, "orders", 3, order(3, 5, 10)).await;
        app.settle().await.unwrap();
        send(&app, "orders", 1, Value::Null).await;
        let mut marked = order(2, 5, 10);
        marked["__deleted"] = "true".into();
        send(&app, "orders", 2, marked).await;
        app.settle().await.unwrap();
        assert_eq!(waiting(&app).await, [r#"orders {"id":3} WAITING customers.id = 5"#]);
        send(&app, "customers", 5, customer(5)).await;
        app.settle().await.unwrap();
        assert_eq!(orders(&app).await, ["3→5:10"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grandchildren_and_several_relations_of_one_message() {
    each(async |app| {
        send(&app, "lines", 1, json!({ "id": 1, "order_id": 1, "buyer": "u6" })).await;
        send(&app, "orders", 1, order(1, 5, 10)).await;
        app.settle().await.unwrap();
        assert_eq!(
            waiting(&app).await,
            [r#"lines {"id":1} WAITING orders.id = 1"#, r#"orders {"id":1} WAITING customers.id = 5"#]
        );
        send(&app, "customers", 5, customer(5)).await;
        app.settle().await.unwrap();
        assert_eq!(orders(&app).await, ["1→5:10"]);
        assert_eq!(waiting(&app).await, [r#"lines {"id":1} WAITING customers.uid = u6"#]);
        send(&app, "customers", 6, customer(6)).await;
        app.settle().await.unwrap();
        assert_eq!(rows(&app, "SELECT order_id || ' ' || buyer AS line FROM lines").await, ["1 u6"]);
        assert_eq!(waiting(&app).await, [""; 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_comes_from_its_leaves() {
    each(async |app| {
        for (id, parent) in [(3, Some(2)), (2, Some(1)), (4, Some(9)), (1, None)] {
            send(&app, "categories", id, json!({ "id": id, "parent_id": parent, "name": "c" })).await;
        }
        app.settle().await.unwrap();
        let sql = "SELECT id || coalesce('<' || parent_id, '') AS line FROM categories ORDER BY id";
        assert_eq!(rows(&app, sql).await, ["1", "2<1", "3<2"]);
        assert_eq!(waiting(&app).await, [r#"categories {"id":4} WAITING categories.id = 9"#]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_its_children_block_waits_for_them() {
    each(async |app| {
        send(&app, "customers", 5, customer(5)).await;
        app.settle().await.unwrap();
        send(&app, "orders", 1, order(1, 5, 10)).await;
        app.settle().await.unwrap();
        send(&app, "customers", 5, Value::Null).await;
        send(&app, "customers", 6, customer(6)).await;
        app.settle().await.unwrap();
        assert_eq!(waiting(&app).await, [r#"customers {"id":5} WAITING customers.id = 5"#]);
        assert!(app.waiting().await.unwrap()[0].deletion);
        assert_eq!(rows(&app, "SELECT name AS line FROM customers ORDER BY id").await, ["c5", "c6"]);
        send(&app, "orders", 1, Value::Null).await;
        app.settle().await.unwrap();
        assert_eq!(rows(&app, "SELECT name AS line FROM customers").await, ["c6"]);
        assert_eq!(waiting(&app).await, [""; 0]);
        assert!(app.dead_letters("customers").await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_used_again_supersedes_its_blocked_deletion() {
    each(async |app| {
        send(&app, "customers", 5, customer(5)).await;
        app.settle().await.unwrap();
        send(&app, "orders", 1, order(1, 5, 10)).await;
        app.settle().await.unwrap();
        send(&app, "customers", 5, Value::Null).await;
        app.settle().await.unwrap();
        // The columns that it does not name are those of a new row.
        send(&app, "customers", 5, json!({ "id": 5, "name": "again" })).await;
        app.settle().await.unwrap();
        assert_eq!(rows(&app, "SELECT name || coalesce(uid, '-') AS line FROM customers").await, ["again-"]);
        assert_eq!(waiting(&app).await, [""; 0]);
        send(&app, "orders", 2, order(2, 5, 20)).await;
        app.settle().await.unwrap();
        assert_eq!(orders(&app).await, ["1→5:10", "2→5:20"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_message_follows_the_retry_settings_and_holds_only_its_key() {
    each(async |app| {
        send(&app, "orders", 1, order(1, 5, 5000)).await;
        send(&app, "orders", 1, json!({ "id": 1, "note": "later" })).await;
        send(&app, "orders", 2, order(2, 5, 20)).await;
        app.settle().await.unwrap();
        send(&app, "customers", 5, customer(5)).await;
        app.settle().await.unwrap();
        assert_eq!(orders(&app).await, ["2→5:20"]);
        let left = app.waiting().await.unwrap();
        assert_eq!((left.len(), left[0].attempts), (2, 1));
        assert!(left[0].last_error.as_deref().unwrap().contains("check"), "{:?}", left[0].last_error);
        assert!(app.dead_letters("orders").await.unwrap().is_empty());
        for _ in 0..2 {
            app.advance(Duration::from_secs(61)).await;
            app.settle().await.unwrap();
        }
        let letters = app.dead_letters("orders").await.unwrap();
        assert_eq!(letters.iter().map(|letter| (letter.offset, letter.attempts)).collect::<Vec<_>>()[0], (0, 3));
        assert_eq!(orders(&app).await, ["2→5:20"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_is_gone_again_is_waited_for_again() {
    each(async |app| {
        send(&app, "lines", 1, json!({ "id": 1, "order_id": 1, "buyer": null })).await;
        app.settle().await.unwrap();
        send(&app, "customers", 5, customer(5)).await;
        app.settle().await.unwrap();
        send(&app, "orders", 1, order(1, 5, 10)).await;
        send(&app, "orders", 1, Value::Null).await;
        app.settle().await.unwrap();
        // Either the line waits again, or it came in between and the deletion waits for it.
        assert_eq!(waiting(&app).await.len(), 1);
        send(&app, "orders", 1, order(1, 5, 11)).await;
        app.settle().await.unwrap();
        assert_eq!(waiting(&app).await, [""; 0]);
        assert_eq!(orders(&app).await, ["1→5:11"]);
        assert_eq!(rows(&app, "SELECT 'line ' || order_id AS line FROM lines").await, ["line 1"]);
    })
    .await;
}

// ---- Handlers of the user's, and relations given by a function

#[derive(serde::Deserialize)]
struct Paid {
    customer: Option<i64>,
    amount: i64,
}

#[topic(name = "payments", key = String, value = Paid, value_format = json, register = false)]
struct Payments;
impl TopicConsumer for Payments {
    fn relations(&self, record: &Record<Self>) -> Result<Vec<ModelRelation>, ConsumeError> {
        let Some(paid) = record.value_opt()? else { return Ok(Vec::new()) };
        Ok(vec![ModelRelation::new::<Customer>("id", paid.customer)])
    }

    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let Some(paid) = record.value_opt()? else { return Ok(()) };
        if paid.amount < 0 {
            return Err("less than nothing".into());
        }
        let line = format!(
            "INSERT INTO orders VALUES ({}, {}, {}, 'paid')",
            record.offset(),
            paid.customer.map_or("NULL".to_owned(), |id| id.to_string()),
            paid.amount
        );
        cx.db(move |conn| match conn {
            django_kafka_rs::db::DbConn::Pg(pg) => diesel::sql_query(line).execute(pg),
            django_kafka_rs::db::DbConn::Sqlite(sqlite) => diesel::sql_query(line).execute(sqlite),
        })
        .await?;
        Ok(())
    }
}

#[consumer(group = "till", topics(Payments, Customer), config("auto.offset.reset" = "earliest"))]
struct Till;

#[consumer(group = "till", topics(Payments, Customer), offsets = "database")]
struct ExactTill;

#[tokio::test(flavor = "multi_thread")]
async fn a_handlers_messages_wait_in_order_too() {
    let test = async |app: TestApp| {
        let pay = async |key: &str, customer: Option<i64>, amount: i64| {
            app.produce("payments", key, json!({ "customer": customer, "amount": amount })).await.unwrap();
        };
        pay("a", Some(5), 1).await;
        pay("a", None, 2).await;
        pay("b", None, 3).await;
        pay("c", Some(5), -1).await;
        pay("d", Some(5), 4).await;
        app.produce("payments", "d", ()).await.unwrap();
        // Without a key they are nobody's followers.
        for amount in [6, 7] {
            app.produce("payments", (), json!({ "customer": 5, "amount": amount }).to_string()).await.unwrap();
        }
        app.settle().await.unwrap();
        assert_eq!(orders(&app).await, ["2:3"]);
        assert_eq!(
            waiting(&app).await,
            [
                "payments a WAITING customers.id = 5",
                "payments a BEHIND customers.id = 5",
                "payments c WAITING customers.id = 5",
                "payments none WAITING customers.id = 5",
                "payments none WAITING customers.id = 5"
            ]
        );
        send(&app, "customers", 5, customer(5)).await;
        app.settle().await.unwrap();
        assert_eq!(orders(&app).await, ["0→5:1", "1:2", "2:3", "6→5:6", "7→5:7"]);
        assert_eq!(waiting(&app).await, [""; 0]);
        let letters = app.dead_letters("payments").await.unwrap();
        assert_eq!(letters.iter().map(|letter| letter.offset).collect::<Vec<_>>(), [3]);
    };
    each_of(|| App::builder().consumer(Till), test).await;
    each_of(|| App::builder().consumer(ExactTill), test).await;
}

#[topic(name = "orders", register = false)]
#[derive(ModelTopicConsumer)]
#[sync(model = PlainOrder, relations_with = buyer_of)]
struct OrdersByFunction;

#[derive(SyncModel)]
#[diesel(table_name = orders)]
struct PlainOrder {
    id: i64,
    customer_id: Option<i64>,
    total: i64,
}

fn buyer_of(cx: &SyncContext<'_>) -> Result<Vec<ModelRelation>, ConsumeError> {
    let row: Value = cx.value()?;
    let field = if row["total"] == 77 { "number" } else { "id" };
    Ok(vec![ModelRelation::new::<Customer>(field, &row["customer_id"])])
}

#[consumer(group = "by_function", topics(OrdersByFunction, Customer), config("auto.offset.reset" = "earliest"))]
struct ByFunction;

#[tokio::test(flavor = "multi_thread")]
async fn relations_by_a_function() {
    each_of(
        || App::builder().consumer(ByFunction),
        async |app| {
            send(&app, "orders", 1, order(1, 5, 10)).await;
            send(&app, "orders", 2, order(2, None, 20)).await;
            send(&app, "orders", 3, order(3, 5, 77)).await;
            app.settle().await.unwrap();
            assert_eq!(orders(&app).await, ["2:20"]);
            assert_eq!(waiting(&app).await, [r#"orders {"id":1} WAITING customers.id = 5"#]);
            let letters = app.dead_letters("orders").await.unwrap();
            assert_eq!(letters.len(), 1);
            assert_eq!(
                letters[0].summary,
                "a relation names `number`, but `Customer` has no such field with a column; it has `id`, `name`, `uid`"
            );
            send(&app, "customers", 5, customer(5)).await;
            app.settle().await.unwrap();
            assert_eq!(orders(&app).await, ["1→5:10", "2:20"]);
        },
    )
    .await;
}
