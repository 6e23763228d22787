//! Messages that do not look like the table: `cargo run --example transforms`.
//!
//! Events of another service (not Debezium's) become rows: fields are renamed, converted, computed, left out, and found
//! by something else than the primary key; a function of ours runs in the transaction of each change.

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::App;
use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;
use django_kafka_rs::testing::TestApp;
use django_kafka_rs_examples::{ExampleResult, one_partition, table, text, title};

diesel::table! {
    people (id) {
        id -> BigInt,
        badge -> Text,
        name -> Text,
        hourly_cents -> BigInt,
        origin -> Text,
        visits -> Integer,
    }
}
diesel::table! { changes (id) { id -> BigInt, badge -> Text, what -> Text, } }

#[topic(name = "hr.people")]
#[derive(Queryable, Selectable, ModelTopicConsumer)]
#[diesel(table_name = people)]
#[sync(
    lookup(badge = key),       // the whole key is the badge; `id` is the database's own affair
    exclude(salary),           // never reaches the row, whatever the model has
    deleted_field = "left",    // a message with `"left": true` deletes; so does a tombstone
    after = record_change,     // in the transaction of each change
)]
struct Person {
    #[sync(skip)]
    id: i64,
    badge: String,
    #[sync(from = "fullName", with = tidy)]
    name: String,
    #[sync(from = "hourlyRate", with = cents)]
    hourly_cents: i64,
    #[sync(compute = origin)]
    origin: String,
    #[sync(default)] // missing in the message: 0 on insert, untouched on update
    visits: i32,
}

fn tidy(name: String) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cents(rate: String) -> Result<i64, String> {
    let rate: f64 = rate.parse().map_err(|_| format!("`{rate}` is not an amount such as `12.50`"))?;
    Ok((rate * 100.0).round() as i64)
}

fn origin(cx: &SyncContext<'_>) -> String {
    format!("{}@{}", cx.topic(), cx.offset())
}

fn record_change(cx: &SyncContext<'_>, applied: Applied, conn: &mut DbConn) -> Result<(), ConsumeError> {
    let what = match applied {
        Applied::Upserted => "written",
        Applied::Deleted => "deleted",
        _ => "changed",
    };
    diesel::insert_into(changes::table)
        .values((changes::badge.eq(cx.key::<String>()?), changes::what.eq(what)))
        .execute(conn)?;
    Ok(())
}

#[consumer(group = "payroll", topics(Person), config("auto.offset.reset" = "earliest"))]
struct Payroll;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/transforms");
const TOPIC: &str = "hr.people";

#[tokio::main]
async fn main() -> ExampleResult {
    let app = TestApp::start(App::from_linked().settings(one_partition()).migrations(MIGRATIONS)).await?;

    title("1. Two people, as the other service writes them");
    let ada = r#"{"fullName":"  Ada   Lovelace ","hourlyRate":"41.50","salary":90000}"#;
    let bob = r#"{"fullName":"Bob Frost","hourlyRate":"17.25","visits":3}"#;
    app.produce(TOPIC, "E-1", ada).await?;
    app.produce(TOPIC, "E-2", bob).await?;
    app.settle().await?;
    show(&app).await?;

    title("2. Ada's rate changes, Bob leaves, and a rate that is no amount");
    app.produce(TOPIC, "E-1", r#"{"hourlyRate":"44"}"#).await?;
    app.produce(TOPIC, "E-2", r#"{"left":true}"#).await?;
    app.produce(TOPIC, "E-3", r#"{"fullName":"Cyd Marsh","hourlyRate":"a lot"}"#).await?;
    app.settle().await?;
    show(&app).await?;

    title("   Dead letters:");
    for letter in app.dead_letters(TOPIC).await? {
        text(&letter.summary);
    }

    title("   What `after` recorded:");
    let changes: Vec<(String, String)> =
        app.sqlite(|conn| changes::table.order(changes::id).select((changes::badge, changes::what)).load(conn)).await?;
    table(["badge", "what"], &changes.into_iter().map(|(badge, what)| [badge, what]).collect::<Vec<_>>());
    app.shutdown().await?;
    Ok(())
}

async fn show(app: &TestApp) -> ExampleResult {
    let people: Vec<Person> =
        app.sqlite(|conn| people::table.order(people::badge).select(Person::as_select()).load(conn)).await?;
    let rows: Vec<_> = people
        .iter()
        .map(|p| {
            [
                p.id.to_string(),
                p.badge.clone(),
                p.hourly_cents.to_string(),
                p.visits.to_string(),
                p.origin.clone(),
                p.name.clone(),
            ]
        })
        .collect();
    table(["id", "badge", "hourly_cents", "visits", "origin", "name"], &rows);
    Ok(())
}
