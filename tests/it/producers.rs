//! Producing beside a service, and scopes in which nothing is produced.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::db::DbConn;
use django_kafka_rs::embedded::Request;
use django_kafka_rs::prelude::*;
use django_kafka_rs::producer::{Kafka, Suppression};
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;

diesel::table! { pets (id) { id -> BigInt, name -> Text, } }

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Texts of which it is known which were written out.
struct Noted;
static WRITTEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
impl Encode<String> for Noted {
    fn encode(value: &String) -> Result<Vec<u8>, EncodeError> {
        WRITTEN.lock().unwrap().push(value.clone());
        Ok(value.clone().into_bytes())
    }
}

#[topic(name = "${prefix}.public", key = String, value = String, value_format = Noted, register = false)]
struct Public;
#[topic(name = "${prefix}.audit", register = false)]
struct Audit;

/// What the topics were sent: `public a`, `audit b`.
#[derive(Default, Clone)]
struct Sent(Arc<Mutex<Vec<String>>>);

impl Sent {
    fn push(&self, topic: &str, text: &str) {
        self.0.lock().unwrap().push(format!("{topic} {text}"));
    }

    fn take(&self) -> Vec<String> {
        let mut sent = std::mem::take(&mut *self.0.lock().unwrap());
        sent.sort();
        sent
    }
}

#[topic(name = "${prefix}.public", register = false)]
struct SeesPublic;
impl TopicConsumer for SeesPublic {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        cx.state::<Sent>().push("public", &record.value_opt()?.unwrap_or_default());
        Ok(())
    }
}
#[topic(name = "${prefix}.audit", register = false)]
struct SeesAudit;
impl TopicConsumer for SeesAudit {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        cx.state::<Sent>().push("audit", &record.value()?);
        Ok(())
    }
}
#[consumer(group = "${prefix}.sees", topics(SeesPublic, SeesAudit))]
struct Sees;

/// Says to both topics what it is told; in scopes, where it is told so.
async fn say(record: &str, cx: &Context) -> ConsumeResult {
    let both = async |text: &str| -> ConsumeResult {
        let text = format!("{record}{text}");
        cx.produce(&Public, "key", &text).await?;
        cx.enqueue(&Audit, "key", text).await?;
        Ok(())
    };
    match record {
        "topic" => cx.suppress("pub.public", both("")).await,
        "declared" => cx.suppress(["${prefix}.public"], both("")).await,
        "type" => cx.suppress(&Public, both("")).await,
        "all" => {
            cx.suppress_all(async {
                cx.tombstone(&Public, "key").await?;
                cx.message(&Audit).header("a", "b").enqueue().await?;
                both(":").await
            })
            .await?;
            both(":after").await
        }
        "lifted" => Box::pin(suppress_all(cx.unsuppress(both("")))).await,
        "panics" => {
            let panics = suppress_all(async { panic!("in a scope") });
            let failed: ConsumeResult = panics.await;
            failed
        }
        "begun" => {
            let begun = cx.suppress_all(async { cx.message(&Audit).value("begun:inside") }).await;
            assert_eq!(begun.send().await?, None);
            let message = cx.message(&Audit).value("begun:outside");
            assert_eq!(cx.suppress("pub.audit", message.send()).await?, None);
            Ok(())
        }
        "blocking" => {
            let seen = |_: &mut DbConn| Ok::<_, ConsumeError>(Suppression::current());
            let seen = cx.suppress("a", async { cx.db(seen).await }).await?;
            assert_eq!(seen, Suppression::of("a"));
            both(&format!(":{}", seen.covers("a"))).await
        }
        "spawned" => {
            let task = cx.clone();
            let own = async move {
                task.produce(&Audit, "key", "spawned").await?;
                Ok::<_, ConsumeError>(())
            };
            cx.suppress_all(async { tokio::spawn(own).await }).await?
        }
        _ => both("").await,
    }
}

#[topic(name = "${prefix}.in", register = false)]
struct Speaks;
impl TopicConsumer for Speaks {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        Box::pin(say(&record.value()?, cx)).await
    }
}
#[consumer(group = "${prefix}.loud", topics(Speaks))]
struct Loud;
#[consumer(group = "${prefix}.quiet", topics(Speaks), suppress)]
struct Quiet;
#[consumer(group = "${prefix}.half", topics(Speaks), suppress("${prefix}.public"))]
struct Half;

fn app(sent: &Sent) -> App {
    let mut settings = Settings::default();
    settings.topic_variables.insert("prefix".into(), "pub".into());
    settings.embedded.partitions = 1;
    App::builder().consumer(Sees).settings(settings).state(sent.clone()).migrations(MIGRATIONS)
}

async fn tell(app: &TestApp, texts: &[&str]) {
    for text in texts {
        app.produce("pub.in", "key", *text).await.unwrap();
    }
    app.settle().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn suppressed_topics_are_not_produced_to() {
    let sent = Sent::default();
    let app = TestApp::start(app(&sent).consumer(Loud)).await.unwrap();
    tell(&app, &["topic", "declared", "type", "panics", "plain"]).await;
    assert_eq!(sent.take(), ["audit declared", "audit plain", "audit topic", "audit type", "public plain"]);
    assert_eq!(app.dead_letters("pub.in").await.unwrap()[0].summary, "the handler panicked: in a scope");
    tell(&app, &["all", "lifted", "begun"]).await;
    assert_eq!(sent.take(), ["audit all:after", "audit lifted", "public all:after", "public lifted"]);
    assert_eq!(app.dead_letters("pub.in").await.unwrap().len(), 1);
    let written = WRITTEN.lock().unwrap().clone();
    assert!(written.contains(&"all:after".to_owned()), "{written:?}");
    for suppressed in ["topic", "declared", "type", "all:"] {
        assert!(!written.contains(&suppressed.to_owned()), "what is suppressed is not written out either: {written:?}");
    }
    tell(&app, &["blocking", "spawned"]).await;
    assert_eq!(sent.take(), ["audit blocking:true", "audit spawned", "public blocking:true"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_may_suppress_all_or_some_topics() {
    let sent = Sent::default();
    let quiet = TestApp::start(app(&sent).consumer(Quiet)).await.unwrap();
    tell(&quiet, &["plain", "lifted"]).await;
    assert_eq!(sent.take(), ["audit lifted", "public lifted"]);
    drop(quiet);
    let half = TestApp::start(app(&sent).consumer(Half)).await.unwrap();
    tell(&half, &["plain"]).await;
    assert_eq!(sent.take(), ["audit plain"]);
}

// ---- A sync's own functions run in the consumer's scope

#[topic(name = "pub.pets", register = false)]
#[derive(DbzConsumer)]
#[diesel(table_name = pets)]
#[sync(after = remember)]
struct Pet {
    id: i64,
    name: String,
}

static PETS: Mutex<Vec<(i64, bool)>> = Mutex::new(Vec::new());

fn remember(cx: &SyncContext<'_>, _: Applied, _: &mut DbConn) -> Result<(), ConsumeError> {
    let id: i64 = cx.value::<serde_json::Value>()?["id"].as_i64().ok_or("no id")?;
    PETS.lock().unwrap().push((id, Suppression::current().is_all()));
    Ok(())
}

#[consumer(group = "pets", topics(Pet), suppress)]
struct Pets;

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_runs_in_its_consumer_s_scope() {
    let app = TestApp::start(App::builder().consumer(Pets).migrations(MIGRATIONS)).await.unwrap();
    app.produce("pub.pets", r#"{"id":1}"#, r#"{"id":1,"name":"rex"}"#).await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(*PETS.lock().unwrap(), [(1, true)]);
}

// ---- Outside of handlers

fn beside(app: &TestApp) -> Settings {
    let mut settings = Settings::default();
    settings.topic_variables.insert("prefix".into(), "pub".into());
    settings.global_config.set("bootstrap.servers", app.handle().embedded_bootstrap_servers().unwrap());
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_produces_to_the_same_topics() {
    let sent = Sent::default();
    let app = TestApp::start(app(&sent)).await.unwrap();
    let kafka = Kafka::connect(&beside(&app)).unwrap();
    let first = kafka.produce(&Audit, "key", "first").await.unwrap().expect("it is not suppressed");
    let second = kafka.produce(&Audit, "key".to_owned(), &"second".to_owned()).await.unwrap().unwrap();
    assert_eq!((first.partition, first.offset + 1), (second.partition, second.offset));
    assert_eq!(suppress("pub.audit", kafka.produce(&Audit, "key", "third")).await.unwrap(), None);
    app.settle().await.unwrap();
    assert_eq!(sent.take(), ["audit first", "audit second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_waited_for() {
    let sent = Sent::default();
    let app = TestApp::start(app(&sent)).await.unwrap();
    let mut settings = beside(&app);
    settings.producer_config.set("queue.buffering.max.messages", "2");
    let kafka = Kafka::connect(&settings).unwrap();
    let mut sends = tokio::task::JoinSet::new();
    for n in 0..100 {
        let kafka = kafka.clone();
        sends.spawn(async move { kafka.enqueue(&Audit, "key", n.to_string()).await });
    }
    while let Some(done) = sends.join_next().await {
        done.unwrap().unwrap();
    }
    kafka.flush(Duration::from_secs(30)).await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(sent.take().len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn flushing_sends_what_is_queued_and_waits_no_longer_than_told() {
    let sent = Sent::default();
    let app = TestApp::start(app(&sent)).await.unwrap();
    let mut settings = beside(&app);
    // Sent by itself only long after this test.
    settings.producer_config.set("linger.ms", "200000");
    let kafka = Kafka::connect(&settings).unwrap();
    kafka.enqueue(&Audit, "key", "queued").await.unwrap();
    kafka.flush(Duration::from_secs(30)).await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(sent.take(), ["audit queued"]);
    // Nobody listens there.
    settings.global_config.set("bootstrap.servers", "127.0.0.1:1");
    let kafka = Kafka::connect(&settings).unwrap();
    kafka.enqueue(&Audit, "key", "lost").await.unwrap();
    let error = kafka.flush(Duration::from_millis(1)).await.unwrap_err();
    assert!(error.to_string().starts_with("1 messages were not acknowledged within 1ms"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_when_a_service_ends_is_sent_before() {
    let sent = Sent::default();
    let app = TestApp::start(app(&sent)).await.unwrap();
    let mut settings = beside(&app);
    // Sent by itself only long after this test.
    settings.producer_config.set("linger.ms", "200000");
    let service = App::builder().consumer(Loud).settings(settings).start().await.unwrap();
    service.kafka().enqueue(&Audit, "key", "last words").await.unwrap();
    service.shutdown().await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(sent.take(), ["audit last words"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_to_the_partition_that_it_names_or_else_by_its_key() {
    let mut settings = Settings::default();
    settings.topic_variables.insert("prefix".into(), "pub".into());
    settings.embedded.partitions = 16;
    let app = App::builder().consumer(Sees).settings(settings).state(Sent::default());
    let app = TestApp::start(app).await.unwrap();
    let kafka = app.handle().kafka();
    let mut by_key = std::collections::BTreeSet::new();
    for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let first = kafka.produce(&Audit, key, "x").await.unwrap().unwrap();
        let again = kafka.message(&Audit).key(key).value("y").send().await.unwrap().unwrap();
        assert_eq!(first.partition, again.partition, "one key, one partition: {key}");
        by_key.insert(first.partition);
        let named = 15 - first.partition;
        let elsewhere = kafka.message(&Audit).key(key).value("z").partition(named).send().await.unwrap().unwrap();
        assert_eq!(elsewhere.partition, named);
    }
    assert!(by_key.len() > 1, "keys are spread: {by_key:?}");
    let nowhere = kafka.message(&Audit).key("a").value("z").partition(16).send().await.unwrap_err();
    assert!(nowhere.to_string().starts_with("producing to `pub.audit`: "), "{nowhere}");
    app.shutdown().await.unwrap();
}

#[test]
fn a_producer_without_a_broker_says_how_to_name_one() {
    let error = Kafka::connect(&Settings::default()).unwrap_err();
    assert!(error.to_string().contains("set `bootstrap.servers`"), "{error}");
}

#[test]
fn what_contradicts_idempotence_is_refused_with_the_remedy() {
    let mut settings = Settings::default();
    settings.global_config.set("bootstrap.servers", "127.0.0.1:1");
    settings.producer_config.set("acks", "1");
    let error = Kafka::connect(&settings).unwrap_err();
    assert!(error.to_string().contains("enable.idempotence"), "{error}");
    settings.producer_config.set("enable.idempotence", "false");
    Kafka::connect(&settings).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_ends_when_its_producer_is_of_no_more_use() {
    /// Kafka's code: an idempotent producer has lost track.
    const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    let app = TestApp::start(app(&Sent::default())).await.unwrap();
    app.produce("pub.audit", "key", "taken").await.unwrap();
    app.broker().refuse_next(Request::Produce, &[OUT_OF_ORDER_SEQUENCE_NUMBER]);
    app.produce("pub.audit", "key", "refused").await.unwrap_err();
    // Nothing failed in a consumer, and yet none can go on.
    let error = app.handle().wait().await.unwrap_err();
    assert!(error.to_string().starts_with("the producer ended: "), "{error}");
}
