//! A table's change events, told on as messages of a public topic: `cargo run --example reproducer`.
//!
//! The shop's table `orders` knows its customers by number, and its columns are nobody else's business. So Debezium
//! writes them to an internal topic, and a reproducer makes public messages of them, with the customer's name. Here a
//! replica in the same program reads these. All messages are Avro, and the schema registry is inside the program too.

use bigdecimal::BigDecimal;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::App;
use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;
use django_kafka_rs::testing::TestApp;
use django_kafka_rs_examples::{ExampleResult, one_partition, table, title};
use serde::{Deserialize, Serialize};

diesel::table! { customers (id) { id -> BigInt, name -> Text, } }
diesel::table! { orders (id) { id -> BigInt, customer_id -> BigInt, cents -> BigInt, } }
diesel::table! { order_views (id) { id -> BigInt, customer -> Text, total -> Text, } }

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/reproducer");

/// The shop's own row.
#[derive(Queryable, Selectable, Identifiable)]
struct Order {
    id: i64,
    customer_id: i64,
    cents: i64,
}

/// What the public is told of it.
#[derive(Serialize, Deserialize)]
struct PublicOrder {
    customer: String,
    total: BigDecimal,
}

/// The public topic. The events are in `dbz.public.orders`: JSON or Avro, as they say themselves.
#[topic(
    name = "shop.orders",
    key = i64,
    value = PublicOrder,
    format = avro,
    key_schema = "schemas/public_order_key.avsc",
    value_schema = "schemas/public_order.avsc"
)]
#[derive(TopicReproducer)]
#[reproduce(model = Order, namespace = "dbz.public")]
struct PublicOrders;

impl Reproduce for PublicOrders {
    type Model = Order;

    async fn upsert(&self, order: Order, _: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
        let Order { id, customer_id, cents } = order;
        let name = move |conn: &mut DbConn| customers::table.find(customer_id).select(customers::name).first(conn);
        let customer: String = cx.db(name).await?;
        cx.produce(self, id, PublicOrder { customer, total: BigDecimal::new(cents.into(), 2) }).await?;
        Ok(())
    }

    async fn delete(&self, id: i64, _: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
        cx.tombstone(self, id).await?;
        Ok(())
    }
}

#[consumer(group = "publisher", topics(Reproducer<PublicOrders>), config("auto.offset.reset" = "earliest"))]
struct Publisher;

/// Elsewhere: a replica of the public topic.
#[topic(name = "shop.orders", format = avro)]
#[derive(Queryable, Selectable, ModelTopicConsumer)]
#[diesel(table_name = order_views)]
struct OrderView {
    id: i64,
    customer: String,
    #[sync(with = euros, as = dbz::FromSchema)]
    total: String,
}

fn euros(total: BigDecimal) -> String {
    format!("{total} €")
}

#[consumer(group = "reader", topics(OrderView), config("auto.offset.reset" = "earliest"))]
struct Reader;

/// In place of Debezium, which writes the same by Kafka Connect's Avro converter.
#[topic(
    name = "dbz.public.orders",
    key = RowKey,
    value = Row,
    format = avro,
    key_schema = "schemas/order_key.avsc",
    value_schema = "schemas/order_row.avsc"
)]
struct Debezium;

#[derive(Serialize)]
struct RowKey {
    id: i64,
}

#[derive(Serialize)]
struct Row {
    id: i64,
    customer_id: i64,
    cents: i64,
    #[serde(rename = "__deleted")]
    deleted: Option<&'static str>,
}

async fn tell(app: &TestApp, id: i64, customer_id: i64, cents: i64, deleted: &'static str) -> ExampleResult {
    let row = Row { id, customer_id, cents, deleted: Some(deleted) };
    app.handle().kafka().produce(&Debezium, RowKey { id }, row).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExampleResult {
    let app = TestApp::start(App::from_linked().settings(one_partition()).migrations(MIGRATIONS)).await?;

    title("1. Debezium tells of two orders");
    tell(&app, 10, 1, 1950, "false").await?;
    tell(&app, 11, 2, 700, "false").await?;
    show(&app).await?;

    title("2. One is changed, the other deleted");
    app.sqlite(|conn| diesel::update(orders::table.find(10)).set(orders::cents.eq(2100)).execute(conn)).await?;
    app.sqlite(|conn| diesel::delete(orders::table.find(11)).execute(conn)).await?;
    tell(&app, 10, 1, 2100, "false").await?;
    tell(&app, 11, 0, 0, "true").await?;
    show(&app).await?;

    app.shutdown().await?;
    Ok(())
}

async fn show(app: &TestApp) -> ExampleResult {
    app.settle().await?;
    let rows: Vec<OrderView> =
        app.sqlite(|conn| order_views::table.order(order_views::id).select(OrderView::as_select()).load(conn)).await?;
    let rows: Vec<_> = rows.into_iter().map(|row| [row.id.to_string(), row.customer, row.total]).collect();
    table(["order", "customer", "total"], &rows);
    Ok(())
}
