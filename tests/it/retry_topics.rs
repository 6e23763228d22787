//! Non-blocking retries, end to end on the embedded broker: topics, headers, times, dead letters.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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

/// Headers of a retry message, as we write them but for some.
fn retry_headers(others: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    let ours = [("RETRY_TIMESTAMP", "0"), ("RETRY_ORIGIN_PARTITION", "3"), ("RETRY_ORIGIN_OFFSET", "70")];
    for (name, value) in ours.iter().chain(others) {
        headers.push(*name, Some(value.as_bytes().to_vec()));
    }
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_cannot_be_ours_hold_nothing_up() {
    let (app, seen) = start().await;
    let wrong: [(&str, &[(&str, &str)]); 6] = [
        ("milliseconds", &[("RETRY_TIMESTAMP", "99999999999999")]),
        ("far", &[("RETRY_TIMESTAMP", "200000000000")]),
        ("no number", &[("RETRY_TIMESTAMP", "soon")]),
        ("negative", &[("RETRY_TIMESTAMP", "-1"), ("RETRY_ORIGIN_PARTITION", "-7"), ("RETRY_ORIGIN_OFFSET", "-1")]),
        ("overflow", &[("RETRY_ORIGIN_PARTITION", "4294967296"), ("RETRY_ORIGIN_OFFSET", "99999999999999999999")]),
        ("foreign", &[("RETRY_ATTEMPT", "many"), ("RETRY_COUNT", "9")]),
    ];
    for (value, headers) in wrong {
        app.produce_with("crm.events.retry.1", "k", value, retry_headers(headers), Some(0)).await.unwrap();
    }
    // Of settings that had more retries, and of nobody.
    app.produce_with("crm.events.retry.7", "k", "heals", retry_headers(&[]), Some(0)).await.unwrap();
    app.produce_with("crm.events.retry.7", "k", "poison", retry_headers(&[]), Some(0)).await.unwrap();
    app.settle().await.unwrap();
    for (value, _) in wrong {
        assert_eq!(seen.attempts(value), [1], "{value}");
    }
    assert_eq!(seen.attempts("heals"), [7]);
    let origin = |value: &str| seen.0.lock().unwrap().iter().find(|(seen, ..)| seen == value).unwrap().2.clone();
    assert_eq!((origin("far").partition, origin("far").offset), (3, 70), "what is right in it is believed");
    assert_eq!((origin("negative").partition, origin("negative").offset), (0, 3), "else it is where it was found");
    let letters = app.dead_letters("events").await.unwrap();
    let known: Vec<_> = letters.iter().map(|l| (l.partition, l.offset, l.attempts, l.summary.as_str())).collect();
    assert_eq!(known, [(3, 70, 8, "cannot take it")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_topics_with_numbers_that_are_none_end_nothing() {
    let (app, seen) = start().await;
    for topic in ["crm.events.retry.0", "crm.events.retry.007", "crm.events.retry.99999999999"] {
        app.produce(topic, "k", "nobody's").await.unwrap();
    }
    app.produce("events", "k", "good").await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while seen.attempts("good").is_empty() {
        assert!(Instant::now() < deadline, "the topic itself goes on");
        tokio::task::yield_now().await;
    }
    assert_eq!(seen.attempts("nobody's"), [0_u32; 0]);
    app.shutdown().await.unwrap();
}
