//! The macros' reference pages as doctests: a proc-macro crate cannot run what needs the runtime, so their examples are
//! compiled and run here. What they show as generated is checked in `django-kafka-rs-macros/src/tests/pages.rs`.

macro_rules! pages {
    ($($name:ident),* $(,)?) => {
        $(
            #[doc = include_str!(concat!("../../django-kafka-rs-macros/docs/", stringify!($name), ".md"))]
            mod $name {}
        )*
    };
}

pages! {
    connector,
    consumer,
    dbz_consumer,
    kafka_connect_skip,
    model_topic_consumer,
    reroute,
    sync,
    sync_model,
    topic,
    topic_reproducer,
}
