//! Two tables in one topic: `cargo run --example reroute`.
//!
//! Debezium's topic routing sends the changes of several tables to one topic and writes into each key which table it
//! is about. The messages are captured ones.

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::App;
use django_kafka_rs::prelude::*;
use django_kafka_rs::testing::TestApp;
use django_kafka_rs_examples::{ExampleResult, captured, one_partition, or_dash, table, text, title};

diesel::table! { notes (id) { id -> BigInt, note -> Nullable<Text>, } }
diesel::table! { memos (id) { id -> BigInt, note -> Nullable<Text>, extra -> Nullable<Integer>, } }

/// A target of the topic below, with no topic of its own: `SyncModel`.
#[derive(Queryable, Selectable, SyncModel)]
#[diesel(table_name = notes)]
struct Note {
    id: i64,
    note: Option<String>,
}

#[derive(Queryable, Selectable, SyncModel)]
#[diesel(table_name = memos)]
struct Memo {
    id: i64,
    note: Option<String>,
    extra: Option<i32>,
}

#[topic(name = "office.all")]
#[derive(DbzConsumer)]
#[reroute(
    "public.smoke_reroute_short_a" => Note,
    "public.smoke_reroute_short_b" => Memo,
)]
struct OfficeAll;

#[consumer(group = "office", topics(OfficeAll), config("auto.offset.reset" = "earliest"))]
struct Office;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/reroute");
const TOPIC: &str = "office.all";

#[tokio::main]
async fn main() -> ExampleResult {
    let app = TestApp::start(App::from_linked().settings(one_partition()).migrations(MIGRATIONS)).await?;
    let events = captured("smoke_reroute_short")?;

    title("1. Four events of two tables: both have a row 2");
    for event in &events[..4] {
        text(&String::from_utf8_lossy(event.key.as_deref().unwrap_or_default()));
        app.produce(TOPIC, event.key.clone(), event.value.clone()).await?;
    }
    app.settle().await?;
    show(&app).await?;

    title("2. Both tables delete their row 2");
    for event in &events[4..] {
        app.produce(TOPIC, event.key.clone(), event.value.clone()).await?;
    }
    app.settle().await?;
    show(&app).await?;

    title("3. A table that nobody declared ends in the dead letter topic");
    let key = r#"{"id":1,"__dbz__physicalTableIdentifier":"public.salaries"}"#;
    app.produce(TOPIC, key, r#"{"id":1,"amount":5}"#).await?;
    app.settle().await?;
    for letter in app.dead_letters(TOPIC).await? {
        text(&letter.summary);
    }
    app.shutdown().await?;
    Ok(())
}

async fn show(app: &TestApp) -> ExampleResult {
    let (notes, memos): (Vec<Note>, Vec<Memo>) = app
        .sqlite(|conn| {
            let notes = notes::table.order(notes::id).select(Note::as_select()).load(conn)?;
            let memos = memos::table.order(memos::id).select(Memo::as_select()).load(conn)?;
            QueryResult::Ok((notes, memos))
        })
        .await?;
    title("   notes");
    let rows: Vec<_> = notes.iter().map(|n| [n.id.to_string(), or_dash(n.note.as_ref())]).collect();
    table(["id", "note"], &rows);
    title("   memos");
    let rows: Vec<_> =
        memos.iter().map(|m| [m.id.to_string(), or_dash(m.note.as_ref()), or_dash(m.extra.as_ref())]).collect();
    table(["id", "note", "extra"], &rows);
    Ok(())
}
