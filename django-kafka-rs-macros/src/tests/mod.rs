//! What each form expands to, in process: run with `UPDATE_EXPECT=1` to take the new text over, and read the diff.

mod connector;
mod consumer;
mod pages;
mod sync;
mod topic;

use proc_macro2::TokenStream;

/// Generated code as people read it.
fn pretty(tokens: TokenStream) -> String {
    prettyplease::unparse(&syn::parse2(tokens).expect("generated code is a list of items"))
}

fn tokens(text: &str) -> TokenStream {
    text.parse().expect("the test's own code")
}

#[test]
fn reference_lists_every_option() {
    use crate::symbol::{
        BATCH_OPTIONS, CONNECTOR, CONSUMER, KAFKA_SKIP_OPTIONS, REPRODUCE, RETRY_OPTIONS, SYNC, SYNC_FIELD, TOPIC,
    };

    let topic = include_str!("../../docs/topic.md");
    let consumer = include_str!("../../docs/consumer.md");
    let connector = include_str!("../../docs/connector.md");
    let sync = include_str!("../../docs/sync.md");
    let references = [
        (&TOPIC, topic),
        (&RETRY_OPTIONS, topic),
        (&CONSUMER, consumer),
        (&BATCH_OPTIONS, consumer),
        (&CONNECTOR, connector),
        (&SYNC, sync),
        (&SYNC_FIELD, sync),
        (&KAFKA_SKIP_OPTIONS, include_str!("../../docs/kafka_connect_skip.md")),
        (&REPRODUCE, include_str!("../../docs/topic_reproducer.md")),
    ];
    for (vocabulary, reference) in references {
        for word in vocabulary.words {
            assert!(reference.contains(&format!("`{}`", word.name)), "{}: `{}`", vocabulary.title, word.name);
        }
    }
}
