//! Rows of models, with a function in their transaction whose effect a message applied twice would double.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;

use super::stage::{Stage, on_each_backend};

diesel::table! { items (id) { id -> BigInt, name -> Text, version -> BigInt, } }
diesel::table! { children (id) { id -> BigInt, item -> BigInt, } }

/// A negative version is refused by the table.
#[topic(name = "items", retry(max_retries = 1, delay = "10ms", blocking = false), register = false)]
#[derive(DbzConsumer)]
#[diesel(table_name = items)]
#[sync(after = note)]
struct Item {
    id: i64,
    name: String,
    version: i64,
}

/// Orphans are refused at the commit.
#[topic(name = "children", register = false)]
#[derive(DbzConsumer)]
#[diesel(table_name = children)]
#[sync(after = note_child)]
struct Child {
    id: i64,
    item: i64,
}

#[consumer(group = "crm", topics(Item, Child), offsets = "database", batch(max = 20))]
struct Crm;

fn note(cx: &SyncContext<'_>, _applied: Applied, conn: &mut DbConn) -> ConsumeResult {
    effect(&format!("item {}", cx.offset()), conn)
}

fn note_child(cx: &SyncContext<'_>, _applied: Applied, conn: &mut DbConn) -> ConsumeResult {
    if cx.offset() == 0 && OVERTAKES.swap(false, Ordering::SeqCst) {
        statement("UPDATE django_kafka_offset SET epoch = epoch + 1 WHERE topic = 'children'", conn)?;
    }
    effect(&format!("child {}", cx.offset()), conn)
}

/// Whether another process is to take the partition over in the middle of the next transaction.
static OVERTAKES: AtomicBool = AtomicBool::new(false);

fn effect(name: &str, conn: &mut DbConn) -> ConsumeResult {
    statement(&format!("INSERT INTO effects VALUES ('{name}')"), conn)
}

fn statement(text: &str, conn: &mut DbConn) -> ConsumeResult {
    let query = diesel::sql_query(text);
    match conn {
        DbConn::Pg(conn) => query.execute(conn)?,
        DbConn::Sqlite(conn) => query.execute(conn)?,
    };
    Ok(())
}

fn app() -> App {
    App::builder().consumer(Crm)
}

async fn item(stage: &Stage, id: i64, version: i64) {
    let row = format!(r#"{{"id":{id},"name":"n","version":{version}}}"#);
    let key = format!(r#"{{"id":{id}}}"#);
    stage.broker.produce_with("items", key, row, Headers::new(), Some(0)).await.unwrap();
}

async fn child(stage: &Stage, id: i64, item: i64) {
    let row = format!(r#"{{"id":{id},"item":{item}}}"#);
    let key = format!(r#"{{"id":{id}}}"#);
    stage.broker.produce_with("children", key, row, Headers::new(), Some(0)).await.unwrap();
}

fn rows(stage: &Stage) -> Vec<String> {
    stage.lines(
        "SELECT 'item ' || id || ' ' || version AS line FROM items
         UNION ALL SELECT 'child ' || id || ' ' || item FROM children ORDER BY line",
    )
}

on_each_backend!(
    rows_and_their_position_are_one,
    a_batch_of_several_transactions_moves_on_with_each,
    a_batch_of_a_process_that_was_overtaken_is_rolled_back,
    members_that_die_apply_each_message_once,
);

async fn rows_and_their_position_are_one(stage: Stage) {
    item(&stage, 1, 1).await;
    item(&stage, 2, -1).await;
    item(&stage, 3, 1).await;
    stage.broker.produce_with("items", "no json", "{}", Headers::new(), Some(0)).await.unwrap();
    let member = stage.join(app()).await;
    stage.until(rows, &["item 1 1", "item 3 1"]).await;
    // Two failed, and failed again.
    stage.until(Stage::positions, &["crm items 4", "crm.retry crm.items.retry.1 2"]).await;
    let settled =
        |stage: &Stage| stage.lines(r#"SELECT topic || ' ' || "offset" AS line FROM django_kafka_settled ORDER BY 1"#);
    stage.until(settled, &["items 1", "items 3"]).await;
    stage.until(|stage| vec![stage.outgoing()], &["0"]).await;
    assert_eq!(stage.effects(), ["item 0", "item 2"]);
    member.leave().await;
}

async fn a_batch_of_several_transactions_moves_on_with_each(stage: Stage) {
    stage.sql("INSERT INTO items VALUES (1, 'n', 1)");
    for (id, parent) in [(1, 1), (2, 9), (3, 1), (4, 1), (5, 9), (6, 9), (7, 1)] {
        child(&stage, id, parent).await;
    }
    let member = stage.join(app()).await;
    stage.until(rows, &["child 1 1", "child 3 1", "child 4 1", "child 7 1", "item 1 1"]).await;
    stage.until(Stage::positions, &["crm children 7"]).await;
    stage.until(|stage| vec![stage.outgoing()], &["0"]).await;
    assert_eq!(stage.effects(), ["child 0", "child 2", "child 3", "child 6"]);
    member.leave().await;
}

async fn a_batch_of_a_process_that_was_overtaken_is_rolled_back(stage: Stage) {
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = ONE_AT_A_TIME.lock().await;
    stage.sql("INSERT INTO items VALUES (1, 'n', 1)");
    for id in 1..4 {
        child(&stage, id, 1).await;
    }
    OVERTAKES.store(true, Ordering::SeqCst);
    let member = stage.join(app()).await;
    // It claims the partition again, after two seconds.
    stage.until(rows, &["child 1 1", "child 2 1", "child 3 1", "item 1 1"]).await;
    assert!(!OVERTAKES.load(Ordering::SeqCst));
    assert_eq!(stage.effects(), ["child 0", "child 1", "child 2"]);
    member.leave().await;
}

async fn members_that_die_apply_each_message_once(stage: Stage) {
    const MESSAGES: i64 = 400;
    let mut wanted = Vec::new();
    for id in 0..MESSAGES {
        let is_poison = id % 20 == 7;
        item(&stage, id, if is_poison { -1 } else { id }).await;
        if !is_poison {
            wanted.push(format!("item {id}"));
        }
    }
    wanted.sort_unstable();
    for round in 1..10 {
        let member = stage.join(app()).await;
        let some = wanted.len() * round / 10;
        let enough = Arc::new(move |stage: &Stage| vec![(stage.effects().len() >= some).to_string()]);
        stage.until(&*enough, &["true"]).await;
        member.die();
    }
    let member = stage.join(app()).await;
    stage.until_effects(&wanted.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let settled = |stage: &Stage| stage.lines("SELECT CAST(count(*) AS TEXT) AS line FROM django_kafka_settled");
    stage.until(settled, &[&(MESSAGES / 20).to_string()]).await;
    stage.until(|stage| vec![stage.outgoing()], &["0"]).await;
    assert_eq!(stage.effects(), wanted);
    member.leave().await;
}
