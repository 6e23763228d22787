use django_kafka_rs::prelude::*;

use std::sync::atomic::{AtomicU64, Ordering};

#[topic(name = "counted")]
#[derive(Default)]
struct Counted {
    seen: AtomicU64,
}

#[derive(Default)]
#[topic(name = "counted.too")]
struct CountedToo {
    seen: AtomicU64,
}

#[topic(name = "built")]
struct Built(String);

#[topic(name = "empty")]
struct Empty {}

fn main() {
    let counted = Counted::__construct().expect("it has `Default`");
    assert_eq!(counted.seen.load(Ordering::Relaxed), 0);
    assert!(CountedToo::__construct().is_some_and(|topic| topic.seen.load(Ordering::Relaxed) == 0));
    assert!(Built::__construct().is_none(), "the builder gives it");
    assert_eq!(Built("state".into()).0, "state");
    assert!(Empty::__construct().is_some());
}
