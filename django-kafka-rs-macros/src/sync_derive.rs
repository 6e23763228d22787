//! The derives that keep models in step with topics.

use proc_macro2::TokenStream;

/// `#[derive(SyncModel)]`.
pub(crate) fn sync_model(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// `#[derive(ModelTopicConsumer)]`.
pub(crate) fn model_topic_consumer(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// `#[derive(DbzConsumer)]`.
pub(crate) fn dbz_consumer(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}
