//! Where reading begins, and what start-up refuses.

use diesel::RunQueryDsl as _;
use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;
use django_kafka_rs::{RunError, StartError};

use super::stage::{Backend, Stage, on_each_backend};

#[topic(name = "steps", register = false)]
struct Steps;

impl TopicConsumer for Steps {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let insert = format!("INSERT INTO effects VALUES ('{}')", record.value()?);
        cx.db(move |conn: &mut DbConn| {
            let insert = diesel::sql_query(insert);
            match conn {
                DbConn::Pg(conn) => insert.execute(conn).map(drop),
                DbConn::Sqlite(conn) => insert.execute(conn).map(drop),
            }
        })
        .await
    }
}

#[consumer(group = "crm", topics(Steps), offsets = "database")]
struct InDatabase;

#[consumer(group = "crm", topics(Steps))]
struct InKafka;

fn app() -> App {
    App::builder().consumer(InDatabase)
}

on_each_backend!(
    goes_on_from_the_offset_in_kafka_once,
    begins_at_the_end_where_that_is_asked_for,
    a_position_that_the_topic_does_not_have_ends_the_consumer,
    tables_that_are_not_there_are_said_at_the_start,
);

async fn goes_on_from_the_offset_in_kafka_once(stage: Stage) {
    for value in ["a", "b", "c"] {
        stage.produce("steps", value).await;
    }
    let member = stage.join(App::builder().consumer(InKafka)).await;
    stage.until_effects(&["a", "b", "c"]).await;
    member.leave().await;
    assert!(stage.positions().is_empty());
    stage.produce("steps", "d").await;
    let member = stage.join(app()).await;
    stage.until_effects(&["a", "b", "c", "d"]).await;
    member.leave().await;
    assert_eq!(stage.positions(), ["crm steps 4"]);
    // From here on the database alone counts.
    stage.sql(r#"UPDATE django_kafka_offset SET "offset" = 3"#);
    let member = stage.join(app()).await;
    stage.until_effects(&["a", "b", "c", "d", "d"]).await;
    member.leave().await;
}

async fn begins_at_the_end_where_that_is_asked_for(stage: Stage) {
    stage.produce("steps", "a").await;
    let mut settings = stage.settings();
    settings.consumer_config.set("auto.offset.reset", "latest");
    let member = stage.join_with(app(), settings.clone()).await.unwrap();
    stage.until(Stage::positions, &["crm steps 1"]).await;
    member.die();
    // While nobody is there; the end was that of the first start.
    stage.produce("steps", "b").await;
    let member = stage.join_with(app(), settings).await.unwrap();
    stage.until_effects(&["b"]).await;
    member.leave().await;
}

async fn a_position_that_the_topic_does_not_have_ends_the_consumer(stage: Stage) {
    stage.produce("steps", "a").await;
    stage.sql("INSERT INTO django_kafka_offset VALUES ('crm', 'steps', 0, 1000, 1)");
    let member = stage.join(app()).await;
    let Err(RunError::Fatal { consumer, message }) = member.handle.wait().await else { panic!("it goes on") };
    assert_eq!(consumer, "InDatabase");
    for part in
        ["topic `steps`, partition 0", "offset 1000", "has 0 to 1", "created anew", "UPDATE django_kafka_offset"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(stage.effects().is_empty());
}

async fn tables_that_are_not_there_are_said_at_the_start(stage: Stage) {
    stage.sql("DROP TABLE django_kafka_outgoing");
    let Err(StartError::Database(text)) = stage.join_with(app(), stage.settings()).await else { panic!("it starts") };
    assert!(
        text.contains("`InDatabase`") && text.contains("django_kafka_outgoing") && text.contains("`migrate`"),
        "{text}"
    );
    let mut settings = stage.settings();
    settings.database_url = None;
    let Err(StartError::Database(text)) = stage.join_with(app(), settings).await else { panic!("it starts") };
    assert!(text.contains("`InDatabase`") && text.contains("`database_url`"), "{text}");
}

/// In embedded mode topics begin anew with each run, and so do positions.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_inside_the_program_begins_with_nothing() {
    let stage = Stage::new(Backend::Sqlite).await.unwrap();
    stage.sql("INSERT INTO django_kafka_offset VALUES ('crm', 'steps', 0, 1000, 1)");
    let mut settings = stage.settings();
    settings.global_config = django_kafka_rs::settings::Settings::default().global_config;
    settings.embedded.partitions = 1;
    let app = django_kafka_rs::testing::TestApp::start(app().settings(settings)).await.unwrap();
    app.produce("steps", "a", "a").await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(stage.effects(), ["a"]);
    assert_eq!(stage.positions(), ["crm steps 1"]);
}
