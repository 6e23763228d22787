//! Rows that wait for their parents: `cargo run --example orders_before_customers`.
//!
//! Orders and customers go in topics of their own, so an order may come first. The database refuses it: its foreign key
//! leads nowhere. With `relations(auto)` it is parked in the database until its customer comes, and its partition goes on.

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::App;
use django_kafka_rs::prelude::*;
use django_kafka_rs::testing::TestApp;
use django_kafka_rs_examples::{ExampleResult, one_partition, table, text, title};

diesel::table! { customers (id) { id -> BigInt, name -> Text, } }
diesel::table! { orders (id) { id -> BigInt, customer_id -> BigInt, total -> Double, } }

#[topic(name = "shop.public.customers")]
#[derive(Queryable, Selectable, Identifiable, DbzConsumer)]
#[diesel(table_name = customers)]
struct Customer {
    id: i64,
    name: String,
}

#[topic(name = "shop.public.orders")]
#[derive(Queryable, Selectable, Identifiable, Associations, DbzConsumer)]
#[diesel(table_name = orders, belongs_to(Customer))]
#[sync(relations(auto))] // an order whose customer is not there yet waits for it
struct Order {
    id: i64,
    customer_id: i64,
    total: f64,
}

#[consumer(group = "crm", topics(Customer, Order), config("auto.offset.reset" = "earliest"))]
struct Crm;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/orders_before_customers");
const CUSTOMERS: &str = "shop.public.customers";
const ORDERS: &str = "shop.public.orders";

#[tokio::main]
async fn main() -> ExampleResult {
    let app = TestApp::start(App::from_linked().settings(one_partition()).migrations(MIGRATIONS)).await?;

    title("1. Customer 1 is there; orders of the customers 1, 7 and 8 come");
    app.produce(CUSTOMERS, r#"{"id":1}"#, r#"{"id":1,"name":"Bob"}"#).await?;
    app.settle().await?;
    order(&app, 100, 7, 9.5).await?;
    order(&app, 101, 1, 20.0).await?;
    order(&app, 102, 8, 5.0).await?;
    app.settle().await?;
    show(&app).await?;

    title("2. Order 100 changes while it waits: what comes of its key stands behind it, so that nothing is overtaken");
    order(&app, 100, 7, 11.25).await?;
    app.settle().await?;
    show(&app).await?;

    title("3. Customer 7 comes: its order is written at once, as it is now");
    app.produce(CUSTOMERS, r#"{"id":7}"#, r#"{"id":7,"name":"Ada"}"#).await?;
    app.settle().await?;
    show(&app).await?;

    title("4. Order 102 is deleted before its customer ever came: nothing waits any more");
    app.produce(ORDERS, r#"{"id":102}"#, None::<&str>).await?;
    app.settle().await?;
    show(&app).await?;

    title("5. Customer 7 is deleted before its order is: the deletion waits for the order to go");
    app.produce(CUSTOMERS, r#"{"id":7}"#, None::<&str>).await?;
    app.settle().await?;
    show(&app).await?;
    app.produce(ORDERS, r#"{"id":100}"#, None::<&str>).await?;
    app.settle().await?;
    title("   Then order 100 goes:");
    show(&app).await?;

    let dead = app.dead_letters(ORDERS).await?.len() + app.dead_letters(CUSTOMERS).await?.len();
    text(&format!("Dead letters: {dead}. Of a running service, `waiting list` shows what waits, and since when."));
    app.shutdown().await?;
    Ok(())
}

async fn order(app: &TestApp, id: i64, customer: i64, total: f64) -> ExampleResult {
    let key = serde_json::json!({ "id": id });
    let value = serde_json::json!({ "id": id, "customer_id": customer, "total": total });
    app.produce(ORDERS, key.to_string(), value.to_string()).await?;
    Ok(())
}

/// Both tables, and what waits.
async fn show(app: &TestApp) -> ExampleResult {
    let customers: Vec<Customer> =
        app.sqlite(|conn| customers::table.order(customers::id).select(Customer::as_select()).load(conn)).await?;
    let names: Vec<String> = customers.iter().map(|customer| format!("{} {}", customer.id, customer.name)).collect();
    text(&format!("customers: {}", names.join(", ")));
    let orders: Vec<Order> =
        app.sqlite(|conn| orders::table.order(orders::id).select(Order::as_select()).load(conn)).await?;
    let rows: Vec<_> =
        orders.iter().map(|o| [o.id.to_string(), o.customer_id.to_string(), format!("{:.2}", o.total)]).collect();
    table(["order", "customer", "total"], &rows);
    for message in app.waiting().await? {
        let key = String::from_utf8_lossy(message.record.key.as_deref().unwrap_or_default()).into_owned();
        let what = if message.deletion { "deletion" } else { "message" };
        let relation = message.relation.as_ref().map(ToString::to_string).unwrap_or_default();
        let waits_for = if message.deletion { format!("rows that refer to {relation}") } else { relation };
        text(&format!("{}: {what} of key {key}, for {waits_for}", message.status.as_str()));
    }
    Ok(())
}
