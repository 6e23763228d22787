//! Topics that the user's own code handles, end to end on the embedded broker.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use django_kafka_rs::__private as dk;
use django_kafka_rs::App;
use django_kafka_rs::prelude::*;
use django_kafka_rs::testing::TestApp;

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

struct Echo;
const HERE: dk::Location = dk::Location { file: file!(), line: line!() };
impl dk::Topic for Echo {
    type Key = String;
    type Value = String;
    type KeyFormat = dk::Text;
    type ValueFormat = dk::Text;
    const DECLARATION: dk::TopicDeclaration =
        dk::TopicDeclaration::new("Echo", "echo", HERE).retry(dk::RetrySettings::new(2).delay_ms(60_000));
    fn __construct() -> Option<Self> {
        Some(Echo)
    }
}
impl TopicConsumer for Echo {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let value = record.value()?;
        if value == "panic" {
            panic!("on purpose");
        }
        if value == "poison" || (value == "heals" && record.attempt() < 2) {
            return Err(format!("cannot take {value}").into());
        }
        cx.state::<Arc<Seen>>().0.lock().unwrap().push(value);
        Ok(())
    }
}
struct Crm;
impl Consumer for Crm {
    const DECLARATION: dk::ConsumerDeclaration =
        dk::ConsumerDeclaration::new("Crm", "crm", &[dk::TopicEntry::of::<Echo>()], HERE)
            .config(&[("auto.offset.reset", dk::ConfigValue::Str("earliest"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_block_their_partition_only_and_end_in_the_dead_letter_topic() {
    let seen = Arc::new(Seen::default());
    let app = TestApp::start(App::builder().consumer(Crm).state(seen.clone())).await.unwrap();
    for (partition, value) in [(0, "a"), (0, "poison"), (0, "b"), (1, "c"), (1, "panic"), (2, "heals"), (2, "d")] {
        app.produce_with("echo", "key", value, Headers::new(), Some(partition)).await.unwrap();
    }
    app.settle().await.unwrap();
    let mut now = seen.0.lock().unwrap().clone();
    now.sort();
    assert_eq!(now, ["a", "c"]);
    assert!(app.dead_letters("echo").await.unwrap().is_empty());
    for _ in 0..2 {
        app.advance(Duration::from_secs(60)).await;
        app.settle().await.unwrap();
    }
    let mut now = seen.0.lock().unwrap().clone();
    now.sort();
    assert_eq!(now, ["a", "b", "c", "d", "heals"]);
    let letters = app.dead_letters("echo").await.unwrap();
    let text: Vec<_> = letters
        .iter()
        .map(|l| format!("{}[{}]@{} x{}: {}", l.topic, l.partition, l.offset, l.attempts, l.summary))
        .collect();
    assert_eq!(text, ["echo[0]@1 x3: cannot take poison", "echo[1]@1 x3: the handler panicked: on purpose"]);
    assert_eq!(app.shutdown().await.unwrap().handled, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_many() {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.store(0, Ordering::Relaxed);
    let seen = Arc::new(Seen::default());
    let app = TestApp::start(App::builder().consumer(Crm).state(seen.clone())).await.unwrap();
    let mut sends = tokio::task::JoinSet::new();
    let app = Arc::new(app);
    for n in 0..2_000 {
        let app = app.clone();
        sends.spawn(async move { app.produce("echo", format!("{n}"), format!("{n}")).await.unwrap() });
    }
    while sends.join_next().await.is_some() {}
    app.settle().await.unwrap();
    assert_eq!(seen.0.lock().unwrap().len(), 2_000);
}
