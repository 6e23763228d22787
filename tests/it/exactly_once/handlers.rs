//! Effects of handlers, which a message handled twice would double.

use std::sync::Arc;

use diesel::RunQueryDsl as _;
use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;
use tokio::sync::Semaphore;

use super::stage::{Stage, on_each_backend};

/// A message says what its handler does, then the effect's name: `once a`.
#[topic(name = "steps", retry(max_retries = 2, delay = "10ms", blocking = false), register = false)]
struct Steps;

/// The same, with retries in place.
#[topic(name = "blocking", retry(max_retries = 1, delay = "10ms"), register = false)]
struct BlockingSteps;

#[consumer(group = "crm", topics(Steps, BlockingSteps), offsets = "database", batch(max = 20))]
struct Crm;

#[derive(Clone)]
struct Gates {
    /// One permit lets one message through that asks for it.
    gate: Arc<Semaphore>,
    /// One permit for each message that has come so far.
    arrived: Arc<Semaphore>,
}

impl TopicConsumer for Steps {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        handle(&record.value()?, record.attempt(), cx).await
    }
}

impl TopicConsumer for BlockingSteps {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        handle(&record.value()?, record.attempt(), cx).await
    }
}

async fn handle(value: &str, attempt: u32, cx: &Context) -> ConsumeResult {
    let (what, name) = value.split_once(' ').ok_or("what to do?")?;
    match what {
        "once" => effect(cx, name).await?,
        "nothing" => {}
        "twice" => {
            effect(cx, &format!("{name} 1")).await?;
            effect(cx, &format!("{name} 2")).await?;
        }
        "poison" => {
            effect(cx, name).await?;
            return Err("told to fail".into());
        }
        "heals" => {
            effect(cx, name).await?;
            if attempt == 0 {
                return Err("not yet".into());
            }
        }
        "half" => {
            effect(cx, &format!("{name} 1")).await?;
            let failed: Result<(), ConsumeError> = cx
                .db({
                    let name = name.to_owned();
                    move |conn: &mut DbConn| {
                        insert(conn, &name)?;
                        Err(ConsumeError::from("the second half is taken back"))
                    }
                })
                .await;
            assert!(failed.is_err());
            effect(cx, &format!("{name} 3")).await?;
        }
        "orphan" => {
            cx.db(|conn: &mut DbConn| run(conn, "INSERT INTO children VALUES (9, 9)")).await?;
        }
        "waits" => {
            let gates = cx.state::<Gates>();
            gates.arrived.add_permits(1);
            gates.gate.acquire().await?.forget();
            effect(cx, name).await?;
        }
        "holds" => {
            effect(cx, name).await?;
            let gates = cx.state::<Gates>();
            gates.arrived.add_permits(1);
            gates.gate.acquire().await?.forget();
        }
        what => return Err(format!("`{what}`?").into()),
    }
    Ok(())
}

async fn effect(cx: &Context, name: &str) -> ConsumeResult {
    let name = name.to_owned();
    cx.db(move |conn: &mut DbConn| insert(conn, &name)).await
}

fn insert(conn: &mut DbConn, name: &str) -> ConsumeResult {
    run(conn, &format!("INSERT INTO effects VALUES ('{name}')")).map_err(Into::into)
}

fn run(conn: &mut DbConn, statement: &str) -> diesel::QueryResult<()> {
    let statement = diesel::sql_query(statement);
    match conn {
        DbConn::Pg(conn) => statement.execute(conn).map(drop),
        DbConn::Sqlite(conn) => statement.execute(conn).map(drop),
    }
}

fn gates() -> Gates {
    Gates { gate: Arc::new(Semaphore::new(0)), arrived: Arc::new(Semaphore::new(0)) }
}

fn app(gates: &Gates) -> App {
    App::builder().consumer(Crm).state(gates.clone())
}

on_each_backend!(
    an_effect_and_its_position_are_one,
    a_failure_takes_all_of_its_work_back_and_leaves_by_the_books,
    a_copy_of_what_is_done_with_is_skipped,
    what_a_predecessor_left_behind_is_delivered_first,
    a_process_that_was_overtaken_commits_nothing,
    members_that_die_repeat_and_lose_nothing,
);

async fn an_effect_and_its_position_are_one(stage: Stage) {
    for value in ["once a", "nothing b", "twice c", "half d", "orphan e", "once f", "nothing g"] {
        stage.produce("steps", value).await;
    }
    let member = stage.join(app(&gates())).await;
    stage.until_effects(&["a", "c 1", "c 2", "d 1", "d 3", "f"]).await;
    stage
        .until(Stage::positions, &["crm steps 7", "crm.retry crm.steps.retry.1 1", "crm.retry crm.steps.retry.2 1"])
        .await;
    stage.until(|stage| vec![stage.outgoing()], &["0"]).await;
    member.leave().await;
    // All is done: another one finds nothing to do.
    let member = stage.join(app(&gates())).await;
    stage.produce("steps", "once h").await;
    stage.until_effects(&["a", "c 1", "c 2", "d 1", "d 3", "f", "h"]).await;
    member.leave().await;
}

async fn a_failure_takes_all_of_its_work_back_and_leaves_by_the_books(stage: Stage) {
    for value in ["poison a", "heals b", "once c"] {
        stage.produce("steps", value).await;
    }
    for value in ["poison d", "heals e", "once f"] {
        stage.produce("blocking", value).await;
    }
    let member = stage.join(app(&gates())).await;
    stage.until_effects(&["b", "c", "e", "f"]).await;
    stage
        .until(
            Stage::positions,
            &["crm blocking 3", "crm steps 3", "crm.retry crm.steps.retry.1 2", "crm.retry crm.steps.retry.2 1"],
        )
        .await;
    // One for each that came through a retry topic, with the offset of its first reading.
    let settled = |stage: &Stage| {
        stage.lines(
            r#"SELECT "group" || ' ' || topic || '[' || partition || '] ' || "offset" AS line FROM django_kafka_settled
               ORDER BY 1"#,
        )
    };
    stage.until(settled, &["crm steps[0] 0", "crm steps[0] 1"]).await;
    stage.until(|stage| vec![stage.outgoing()], &["0"]).await;
    member.leave().await;
}

async fn a_copy_of_what_is_done_with_is_skipped(stage: Stage) {
    stage.produce("steps", "heals a").await;
    let member = stage.join(app(&gates())).await;
    stage.until_effects(&["a"]).await;
    // As a process that died between the broker's answer and the deletion of the row would leave it.
    let mut headers = Headers::new();
    for (name, value) in [
        ("RETRY_MESSAGE", "not yet"),
        ("RETRY_TIMESTAMP", "0"),
        ("RETRY_ORIGIN_PARTITION", "0"),
        ("RETRY_ORIGIN_OFFSET", "0"),
    ] {
        headers.push(name, Some(value.as_bytes().to_vec()));
    }
    for topic in ["crm.steps.retry.1", "crm.steps.retry.2"] {
        stage.broker.produce_with(topic, "heals a", "heals a", headers.clone(), Some(0)).await.unwrap();
    }
    stage.produce("steps", "heals b").await;
    stage.until_effects(&["a", "b"]).await;
    stage
        .until(Stage::positions, &["crm steps 2", "crm.retry crm.steps.retry.1 3", "crm.retry crm.steps.retry.2 1"])
        .await;
    assert_eq!(stage.effects(), ["a", "b"]);
    member.leave().await;
}

async fn what_a_predecessor_left_behind_is_delivered_first(stage: Stage) {
    stage.produce("steps", "heals a").await;
    stage.produce("steps", "once b").await;
    // It died after the commit, before it produced what had failed.
    stage.sql(
        r#"INSERT INTO django_kafka_offset VALUES ('crm', 'steps', 0, 1, 7);
           INSERT INTO django_kafka_outgoing ("group", topic, partition, "offset", target_topic, key, value, headers)
           VALUES ('crm', 'steps', 0, 0, 'crm.steps.retry.1', NULL, 'heals a',
                   '[["RETRY_TIMESTAMP","MA=="],["RETRY_ORIGIN_PARTITION","MA=="],["RETRY_ORIGIN_OFFSET","MA=="],["own",null]]')"#,
    );
    let member = stage.join(app(&gates())).await;
    stage.until_effects(&["a", "b"]).await;
    stage.until(|stage| vec![stage.outgoing()], &["0"]).await;
    assert_eq!(
        stage.lines("SELECT CAST(epoch AS TEXT) AS line FROM django_kafka_offset WHERE topic = 'steps' "),
        ["8"]
    );
    member.leave().await;
}

async fn a_process_that_was_overtaken_commits_nothing(stage: Stage) {
    let gates = gates();
    for value in ["once a", "waits b", "once c"] {
        stage.produce("steps", value).await;
    }
    let member = stage.join(app(&gates)).await;
    stage.until_effects(&["a"]).await;
    gates.arrived.acquire().await.unwrap().forget();
    // Another process claims the partition, handles the message, and dies.
    stage.sql(
        r#"UPDATE django_kafka_offset SET epoch = epoch + 1, "offset" = "offset" + 1 WHERE topic = 'steps';
           INSERT INTO effects VALUES ('b by the other')"#,
    );
    gates.gate.add_permits(1);
    // This one goes on from where that one came to, once it has claimed the partition again: after two seconds.
    stage.until_effects(&["a", "b by the other", "c"]).await;
    assert_eq!(gates.arrived.available_permits(), 0, "not even tried again");
    member.leave().await;
}

async fn members_that_die_repeat_and_lose_nothing(stage: Stage) {
    const MESSAGES: usize = 400;
    let mut wanted = Vec::new();
    for n in 0..MESSAGES {
        let what = match n % 20 {
            3 => "heals",
            7 => "nothing",
            11 => "poison",
            _ => "once",
        };
        stage.produce("steps", &format!("{what} {n:03}")).await;
        if matches!(what, "heals" | "once") {
            wanted.push(format!("{n:03}"));
        }
    }
    for round in 1..10 {
        let member = stage.join(app(&gates())).await;
        let some = wanted.len() * round / 10;
        let enough = |stage: &Stage| vec![(stage.effects().len() >= some).to_string()];
        stage.until(enough, &["true"]).await;
        member.die();
    }
    let member = stage.join(app(&gates())).await;
    stage.until_effects(&wanted.iter().map(String::as_str).collect::<Vec<_>>()).await;
    stage.until(|stage| vec![stage.outgoing()], &["0"]).await;
    let settled = |stage: &Stage| stage.lines("SELECT CAST(count(*) AS TEXT) AS line FROM django_kafka_settled");
    stage.until(settled, &[&(MESSAGES / 10).to_string()]).await;
    assert_eq!(stage.effects(), wanted);
    member.leave().await;
}

/// SQLite has one writer: nobody can overtake a transaction in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_overtaken_in_the_middle_of_a_transaction_commits_nothing() {
    let Some(stage) = Stage::new(super::stage::Backend::Postgres).await else { return };
    let gates = gates();
    for value in ["holds a", "once b"] {
        stage.produce("steps", value).await;
    }
    let member = stage.join(app(&gates)).await;
    gates.arrived.acquire().await.unwrap().forget();
    stage.sql(r#"UPDATE django_kafka_offset SET epoch = epoch + 1 WHERE topic = 'steps'"#);
    gates.gate.add_permits(2);
    stage.until_effects(&["a", "b"]).await;
    assert_eq!(gates.arrived.available_permits(), 1, "the first time it was rolled back");
    member.leave().await;
}
