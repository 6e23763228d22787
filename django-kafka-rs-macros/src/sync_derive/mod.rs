//! The derives that keep models in step with topics: `SyncModel`, `ModelTopicConsumer`, `DbzConsumer`.

mod build;
mod check;

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::ctx::Ctx;
use crate::expand;
use crate::fallback;
use crate::model::sync_model::{Model, SyncTopic};
use crate::paths::Runtime;

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Derive {
    SyncModel,
    ModelTopicConsumer,
    DbzConsumer,
}

impl Derive {
    /// As users write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SyncModel => crate::symbol::SYNC_MODEL,
            Self::ModelTopicConsumer => crate::symbol::MODEL_TOPIC_CONSUMER,
            Self::DbzConsumer => crate::symbol::DBZ_CONSUMER,
        }
    }
}

/// What one of the derives stands on.
#[derive(Debug)]
pub(crate) enum Declared {
    Model(Model),
    Topic(SyncTopic),
}

/// `#[derive(SyncModel)]`.
pub(crate) fn sync_model(input: TokenStream) -> TokenStream {
    derive(Derive::SyncModel, input)
}

/// `#[derive(ModelTopicConsumer)]`.
pub(crate) fn model_topic_consumer(input: TokenStream) -> TokenStream {
    derive(Derive::ModelTopicConsumer, input)
}

/// `#[derive(DbzConsumer)]`.
pub(crate) fn dbz_consumer(input: TokenStream) -> TokenStream {
    derive(Derive::DbzConsumer, input)
}

fn derive(derive: Derive, input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let ctx = Ctx::new();
    let built = build::read(&ctx, derive, &input);
    let dk = Runtime::new(built.runtime.as_ref());
    match (ctx.finish(), &built.declared) {
        (Err(errors), _) => {
            let model = built.is_model.then(|| fallback::sync_model(&dk, &input));
            let consumer = (derive != Derive::SyncModel).then(|| fallback::model_consumer(&dk, &input));
            quote!(#errors #model #consumer)
        }
        (Ok(()), Some(Declared::Model(model))) => {
            let consumer = (derive != Derive::SyncModel).then(|| expand::model_consumer::of_model(&dk, derive, model));
            expand::sync::model(&dk, model, consumer.as_ref())
        }
        (Ok(()), Some(Declared::Topic(topic))) => expand::model_consumer::of_topic(&dk, derive, topic),
        // Nothing is declared only where a mistake was reported.
        (Ok(()), None) => TokenStream::new(),
    }
}
