use django_kafka_rs::prelude::*;

use django_kafka_rs::__private::RetryMode;

fn is_transient(error: &(dyn std::error::Error + 'static)) -> bool {
    error.to_string().contains("timeout")
}

#[topic(name = "blocking", retry(max_retries = -1, delay = 120, log_every = 10, exclude(std::fmt::Error)))]
struct Blocking;

#[topic(
    name = "non.blocking",
    retry(
        max_retries = 40,
        delay = "2s",
        max_delay = "1h 30m",
        backoff,
        jitter = true,
        include(std::io::Error, DecodeError, std::num::ParseIntError),
        include_if = is_transient,
        blocking = false,
        use_offset_tracker,
    )
)]
struct NonBlocking;

#[topic(name = "never", retry(max_retries = 0))]
struct Never;

#[topic(name = "backoff", retry(max_retries = 20, backoff = true, blocking = true))]
struct Backoff;

fn main() {
    let blocking = Blocking::DECLARATION.retry.expect("written");
    assert_eq!((blocking.max_retries, blocking.delay_ms, blocking.log_every), (-1, 120_000, Some(10)));
    assert_eq!(blocking.mode, RetryMode::Blocking);
    let other = NonBlocking::DECLARATION.retry.expect("written");
    assert_eq!((other.delay_ms, other.delay_ms_max), (2_000, Some(5_400_000)));
    assert_eq!((other.mode, other.use_offset_tracker, other.jitter), (RetryMode::NonBlocking, true, true));
    assert_eq!(other.include.len(), 3);
    assert!(other.include_if.is_some_and(|f| f(&std::io::Error::other("timeout"))));
    assert_eq!(Never::DECLARATION.retry.map(|r| r.max_retries), Some(0));
    assert!(Backoff::DECLARATION.retry.is_some_and(|r| r.backoff));
}
