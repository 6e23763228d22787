//! The macros of `django-kafka-rs`. Use them through that crate: generated code names its runtime.
//!
//! Each macro goes the same way: `attr` reads tokens into values, `model` is what was declared, `check` holds the
//! rules that span several options, `expand` writes the code and cannot fail. Mistakes gather in a `Ctx`, so that
//! all of them are reported at once; `fallback` writes stub impls beside them.

mod attr;
mod attribute;
mod check;
mod check_avro;
mod ctx;
mod diag;
mod expand;
mod fallback;
mod librdkafka;
mod model;
mod not_yet;
mod paths;
mod reproducer_derive;
mod skip_derive;
mod symbol;
mod sync_derive;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

#[doc = include_str!("../docs/topic.md")]
#[proc_macro_attribute]
pub fn topic(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute::topic(arguments.into(), &item.into()).into()
}

#[doc = include_str!("../docs/consumer.md")]
#[proc_macro_attribute]
pub fn consumer(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute::consumer(arguments.into(), &item.into()).into()
}

#[doc = include_str!("../docs/connector.md")]
#[proc_macro_attribute]
pub fn connector(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute::connector(arguments.into(), &item.into()).into()
}

#[doc = include_str!("../docs/sync_model.md")]
#[doc = include_str!("../docs/sync.md")]
#[proc_macro_derive(SyncModel, attributes(sync, diesel))]
pub fn sync_model(input: TokenStream) -> TokenStream {
    sync_derive::sync_model(input.into()).into()
}

#[doc = include_str!("../docs/model_topic_consumer.md")]
#[doc = include_str!("../docs/sync.md")]
#[proc_macro_derive(ModelTopicConsumer, attributes(sync, diesel))]
pub fn model_topic_consumer(input: TokenStream) -> TokenStream {
    sync_derive::model_topic_consumer(input.into()).into()
}

#[doc = include_str!("../docs/dbz_consumer.md")]
#[doc = include_str!("../docs/reroute.md")]
#[doc = include_str!("../docs/sync.md")]
#[proc_macro_derive(DbzConsumer, attributes(sync, reroute, diesel))]
pub fn dbz_consumer(input: TokenStream) -> TokenStream {
    sync_derive::dbz_consumer(input.into()).into()
}

#[doc = include_str!("../docs/kafka_connect_skip.md")]
#[proc_macro_derive(KafkaConnectSkip, attributes(kafka_skip, diesel))]
pub fn kafka_connect_skip(input: TokenStream) -> TokenStream {
    skip_derive::kafka_connect_skip(input.into()).into()
}

#[doc = include_str!("../docs/topic_reproducer.md")]
#[proc_macro_derive(TopicReproducer, attributes(reproduce))]
pub fn topic_reproducer(input: TokenStream) -> TokenStream {
    reproducer_derive::topic_reproducer(input.into()).into()
}
