//! Non-blocking retries, end to end on the embedded broker: topics, headers, times, dead letters.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use django_kafka_rs::prelude::*;
use django_kafka_rs::record::Origin;
use django_kafka_rs::testing::{Retry, TestApp};

/// What the handler saw: the value, which attempt, and where it was first read.
#[derive(Default)]
struct Seen(Mutex<Vec<(String, u32, Origin)>>);

impl Seen {
    fn attempts(&self, value: &str) -> Vec<u32> {
        let seen = self.0.lock().unwrap();
        seen.iter().filter(|(found, ..)| found == value).map(|(_, attempt, _)| *attempt).collect()
    }
}

#[topic(
    name = "events",
    retry(max_retries = 2, delay = "1m", backoff, blocking = false, exclude(DecodeError)),
    register = false
)]
struct Events;

impl TopicConsumer for Events {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let value = record.value()?;
        let seen = cx.state::<Arc<Seen>>();
        seen.0.lock().unwrap().push((value.clone(), record.attempt(), record.origin()));
        match value.as_str() {
            "poison" => Err("cannot take it".into()),
            "heals" if record.attempt() == 0 => Err("not yet".into()),
            _ => Ok(()),
        }
    }
}

#[consumer(group = "crm", topics(Events), config("auto.offset.reset" = "earliest"))]
struct Crm;

async fn start() -> (TestApp, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    (TestApp::start(App::builder().consumer(Crm).state(seen.clone())).await.unwrap(), seen)
}

fn topics(retries: &[Retry]) -> Vec<String> {
    retries.iter().map(|r| format!("{}: {}", r.retry_topic, r.message)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_message_goes_from_retry_topic_to_retry_topic_while_the_rest_goes_on() {
    let (app, seen) = start().await;
    let mut headers = Headers::new();
    headers.push("trace", Some(b"42".to_vec()));
    headers.push("trace", None);
    app.produce_with("events", "k", "poison", headers.clone(), Some(0)).await.unwrap();
    app.produce_with("events", "k", "heals", Headers::new(), Some(0)).await.unwrap();
    app.produce_with("events", "k", "good", Headers::new(), Some(0)).await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(seen.attempts("good"), [0], "nothing waits for the failing ones");
    assert_eq!(
        topics(&app.retries("events").await.unwrap()),
        ["crm.events.retry.1: cannot take it", "crm.events.retry.1: not yet"]
    );

    app.advance(Duration::from_secs(59)).await;
    app.settle().await.unwrap();
    assert_eq!(seen.attempts("heals"), [0], "not before its time");
    app.advance(Duration::from_secs(1)).await;
    app.settle().await.unwrap();
    assert_eq!(seen.attempts("heals"), [0, 1]);
    assert_eq!(seen.attempts("poison"), [0, 1]);
    assert_eq!(topics(&app.retries("events").await.unwrap())[2..], ["crm.events.retry.2: cannot take it"]);

    // The second delay is twice the first.
    app.advance(Duration::from_secs(119)).await;
    app.settle().await.unwrap();
    assert!(app.dead_letters("events").await.unwrap().is_empty());
    app.advance(Duration::from_secs(1)).await;
    app.settle().await.unwrap();
    assert_eq!(seen.attempts("poison"), [0, 1, 2]);
    let letters = app.dead_letters("events").await.unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(letter.dead_letter_topic, "crm.events.dlt");
    assert_eq!((letter.topic.as_str(), letter.partition, letter.offset, letter.attempts), ("events", 0, 0, 3));
    assert_eq!(letter.value.as_deref(), Some(&b"poison"[..]));
    let own: Vec<_> = letter.headers.iter().filter(|(name, _)| !name.starts_with("DEAD_LETTER")).collect();
    assert_eq!(own, [("trace", Some(&b"42"[..])), ("trace", None)], "its own headers, and none of ours of the way");
    let origin = Origin { topic: "events".into(), partition: 0, offset: 0 };
    let seen = seen.0.lock().unwrap();
    assert!(seen.iter().filter(|(value, ..)| value == "poison").all(|(_, _, found)| *found == origin));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_excluded_error_is_not_retried() {
    let (app, _) = start().await;
    app.produce("events", "k", &b"\xff"[..]).await.unwrap();
    app.settle().await.unwrap();
    assert!(app.retries("events").await.unwrap().is_empty());
    assert_eq!(app.dead_letters("events").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_made_by_hand_is_handled_at_once() {
    let (app, seen) = start().await;
    app.produce("crm.events.retry.1", "k", "by hand").await.unwrap();
    app.produce("crm.events.retry.9", "k", "poison").await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(seen.attempts("by hand"), [1]);
    assert_eq!(app.dead_letters("events").await.unwrap().len(), 1, "a number beyond the last is the last");
}
