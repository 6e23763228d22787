//! Topics that the user's own code handles, end to end on the embedded broker.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use django_kafka_rs::prelude::*;
use django_kafka_rs::testing::TestApp;

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Seen {
    fn push(&self, value: String) {
        self.0.lock().expect("no test panics while it holds the lock").push(value);
    }

    fn sorted(&self) -> Vec<String> {
        let mut values = self.0.lock().unwrap().clone();
        values.sort();
        values
    }
}

#[topic(name = "echo", retry(max_retries = 2, delay = "1m"), register = false)]
struct Echo;

impl TopicConsumer for Echo {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let value = record.value()?;
        assert_ne!(value, "panic");
        if value == "poison" || (value == "heals" && record.attempt() < 2) {
            return Err(format!("cannot take {value}").into());
        }
        cx.state::<Arc<Seen>>().push(value);
        Ok(())
    }
}

#[consumer(group = "crm", topics(Echo), config("auto.offset.reset" = "earliest"))]
struct Crm;

#[tokio::test(flavor = "multi_thread")]
async fn retries_block_their_partition_only_and_end_in_the_dead_letter_topic() {
    let seen = Arc::new(Seen::default());
    let app = TestApp::start(App::builder().consumer(Crm).state(seen.clone())).await.unwrap();
    for (partition, value) in [(0, "a"), (0, "poison"), (0, "b"), (1, "c"), (1, "panic"), (2, "heals"), (2, "d")] {
        app.produce_with("echo", "key", value, Headers::new(), Some(partition)).await.unwrap();
    }
    app.settle().await.unwrap();
    assert_eq!(seen.sorted(), ["a", "c"]);
    assert!(app.dead_letters("echo").await.unwrap().is_empty());
    for _ in 0..2 {
        app.advance(Duration::from_secs(60)).await;
        app.settle().await.unwrap();
    }
    assert_eq!(seen.sorted(), ["a", "b", "c", "d", "heals"]);
    let letters = app.dead_letters("echo").await.unwrap();
    let text: Vec<_> = letters
        .iter()
        .map(|l| format!("{}[{}]@{} x{}: {}", l.topic, l.partition, l.offset, l.attempts, l.summary))
        .collect();
    assert_eq!(
        text,
        [
            "echo[0]@1 x3: cannot take poison",
            "echo[1]@1 x3: the handler panicked: assertion `left != right` failed left: \"panic\" right: \"panic\""
        ]
    );
    assert_eq!(app.shutdown().await.unwrap().handled, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_many() {
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
    assert_eq!(seen.sorted().len(), 2_000);
}
