//! Captured Debezium change events become rows: `cargo run --example quickstart`.
//!
//! Nothing has to be installed: the broker runs inside the process and the database is a temporary SQLite file.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::App;
use django_kafka_rs::prelude::*;
use django_kafka_rs::testing::TestApp;
use django_kafka_rs_examples::{Captured, ExampleResult, captured, hex, one_partition, or_dash, table, text, title};
use std::time::Duration;

// ---- What a service declares. This, and `fn main() -> ExitCode { django_kafka_rs::run() }`, is all of it.

diesel::table! {
    customers (id) {
        id -> BigInt,
        name -> Text,
        email -> Nullable<Text>,
        active -> Bool,
        balance -> Nullable<Text>,
        born -> Nullable<Date>,
        seen -> Nullable<TimestamptzSqlite>,
        made -> Nullable<Timestamp>,
        opens -> Nullable<Time>,
        uid -> Nullable<Text>,
        meta -> Nullable<Json>,
        raw -> Nullable<Binary>,
        big -> Nullable<Text>,
    }
}

diesel::table! {
    orders (id) { id -> BigInt, customer_id -> BigInt, total -> Double, }
}

#[topic(name = "shop.public.customers", retry(max_retries = 2, delay = "2s", include(ConstraintViolation)))]
#[derive(Queryable, Selectable, DbzConsumer)]
#[diesel(table_name = customers)]
struct Customer {
    id: i64,
    name: String,
    email: Option<String>,
    active: bool,
    #[sync(as = dbz::Decimal(2))] // SQLite has no exact decimals: kept as text
    balance: Option<String>,
    born: Option<NaiveDate>,
    seen: Option<DateTime<Utc>>,
    made: Option<NaiveDateTime>,
    opens: Option<NaiveTime>,
    uid: Option<String>,
    meta: Option<serde_json::Value>,
    raw: Option<Vec<u8>>,
    big: Option<String>,
}

#[topic(name = "shop.public.orders", retry(max_retries = 5, delay = "2s"))]
#[derive(Queryable, Selectable, DbzConsumer)]
#[diesel(table_name = orders)]
struct Order {
    id: i64,
    customer_id: i64,
    total: f64,
}

#[consumer(group = "crm", topics(Customer, Order), config("auto.offset.reset" = "earliest"))]
struct Crm;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/quickstart");

// ---- The rest plays the part of the world: it produces, and looks at the tables.

const CUSTOMERS: &str = "shop.public.customers";
const ORDERS: &str = "shop.public.orders";

#[tokio::main]
async fn main() -> ExampleResult {
    let app = TestApp::start(App::from_linked().settings(one_partition()).migrations(MIGRATIONS)).await?;
    let events = captured("smoke_json")?;
    let (first, rest) = events.split_at(5);

    title("Change events that Debezium captured from PostgreSQL go through a broker inside this process into SQLite.");

    title("1. The table `customers` before");
    show_customers(&app).await?;

    title("2. Five captured change events later: a snapshot of row 1, inserts of 2 and 3, updates of 1 and 2");
    replay(&app, first).await?;
    show_customers(&app).await?;
    text("(The update of row 1 came without the 9000 characters of `big`, which had not changed: they stayed.)");
    title("   Row 2, as Debezium wrote it and as it is now:");
    show_row(&app, &first[4]).await?;

    title("3. Six more: key 3 becomes 30, row 2 is deleted, row 4 is inserted, updated and deleted");
    replay(&app, rest).await?;
    show_customers(&app).await?;

    title("4. An order arrives before its customer: it is tried again every 2 seconds, and other topics go on");
    app.produce(ORDERS, r#"{"id":100}"#, r#"{"id":100,"customer_id":7,"total":9.5}"#).await?;
    app.settle().await?;
    show_orders(&app, "at first").await?;
    app.produce(CUSTOMERS, r#"{"id":7}"#, r#"{"id":7,"name":"Ada","email":"ada@example.org","active":true}"#).await?;
    app.settle().await?;
    app.advance(Duration::from_secs(2)).await;
    app.settle().await?;
    show_orders(&app, "2 seconds later, its customer has come").await?;

    title(
        "5. Two poison messages: an e-mail address that breaks a constraint, and half a JSON text; a good one behind",
    );
    app.produce(CUSTOMERS, r#"{"id":8}"#, r#"{"id":8,"name":"Bob","email":"nowhere","active":true}"#).await?;
    app.produce(CUSTOMERS, r#"{"id":9}"#, r#"{"id":9,"name":"Cyd","active":"#).await?;
    app.produce(CUSTOMERS, r#"{"id":10}"#, r#"{"id":10,"name":"Dee","email":null,"active":true}"#).await?;
    for _retry in 0..2 {
        app.settle().await?;
        app.advance(Duration::from_secs(2)).await;
    }
    app.settle().await?;
    show_customers(&app).await?;
    title("   Dead letters (topic crm.shop.public.customers.dlt), key and value untouched:");
    show_dead_letters(&app).await?;

    text("What was declared for this: the first half of examples/examples/quickstart.rs");
    app.shutdown().await?;
    Ok(())
}

async fn replay(app: &TestApp, events: &[Captured]) -> ExampleResult {
    for event in events {
        app.produce(CUSTOMERS, event.key.clone(), event.value.clone()).await?;
    }
    app.settle().await?;
    Ok(())
}

async fn customers_now(app: &TestApp) -> ExampleResult<Vec<Customer>> {
    Ok(app.sqlite(|conn| customers::table.order(customers::id).select(Customer::as_select()).load(conn)).await?)
}

async fn show_customers(app: &TestApp) -> ExampleResult {
    let rows: Vec<_> = customers_now(app)
        .await?
        .iter()
        .map(|c| {
            let big = c.big.as_ref().map(|big| format!("{} characters", big.len()));
            [
                c.id.to_string(),
                c.active.to_string(),
                or_dash(c.balance.as_ref()),
                or_dash(c.born.as_ref()),
                or_dash(c.email.as_ref()),
                or_dash(big.as_ref()),
                if c.name.is_empty() { "(empty)".to_owned() } else { c.name.clone() },
            ]
        })
        .collect();
    table(["id", "active", "balance", "born", "email", "big", "name"], &rows);
    Ok(())
}

async fn show_row(app: &TestApp, event: &Captured) -> ExampleResult {
    let message: serde_json::Value = serde_json::from_slice(event.value.as_deref().unwrap_or(b"null"))?;
    let Some(row) = customers_now(app).await?.into_iter().find(|c| c.id == 2) else {
        return Err("row 2 is not there".into());
    };
    let line = |column: &str, value: String| [column.to_owned(), message[column].to_string(), value];
    let rows = [
        line("balance", or_dash(row.balance.as_ref())),
        line("born", or_dash(row.born.as_ref())),
        line("seen", or_dash(row.seen.as_ref())),
        line("made", or_dash(row.made.as_ref())),
        line("opens", or_dash(row.opens.as_ref())),
        line("uid", or_dash(row.uid.as_ref())),
        line("raw", or_dash(row.raw.as_deref().map(hex).as_ref())),
        line("meta", or_dash(row.meta.as_ref())),
    ];
    table(["column", "in the message", "in the row"], &rows);
    Ok(())
}

async fn show_orders(app: &TestApp, when: &str) -> ExampleResult {
    let orders: Vec<Order> =
        app.sqlite(|conn| orders::table.order(orders::id).select(Order::as_select()).load(conn)).await?;
    match orders.as_slice() {
        [] => text(&format!("{when}: no order; the database has refused it, because there is no customer 7")),
        orders => orders
            .iter()
            .for_each(|o| text(&format!("{when}: order {} of customer {}, total {}", o.id, o.customer_id, o.total))),
    }
    Ok(())
}

async fn show_dead_letters(app: &TestApp) -> ExampleResult {
    for letter in app.dead_letters(CUSTOMERS).await? {
        text(&format!("key     {}", String::from_utf8_lossy(letter.key.as_deref().unwrap_or_default())));
        text(&format!("value   {}", String::from_utf8_lossy(letter.value.as_deref().unwrap_or_default())));
        let times = if letter.attempts == 1 { "once".to_owned() } else { format!("{} times", letter.attempts) };
        text(&format!("tried   {times}"));
        text(&format!("because {}\n", letter.summary));
    }
    Ok(())
}
