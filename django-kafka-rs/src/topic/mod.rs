//! Topics: what is declared about them, and who handles their messages.

mod declaration;
mod formats;
pub(crate) mod names;
mod payload;
mod reproducer;
mod wire;

pub use self::declaration::{ErrorType, Location, NameableError, RetryMode, RetrySettings, TopicDeclaration};
pub use self::formats::{Bytes, Decode, Encode, Json, Text};
pub use self::payload::Payload;
pub use self::reproducer::{Reproduce, ReproducedModel, ReproducedSource, ReproducedTopic, Reproducer, SourceName};
#[cfg(feature = "client")]
pub(crate) use self::wire::Content;
#[doc(hidden)]
#[cfg(feature = "avro")]
pub use self::wire::KnownSchemas;
#[doc(hidden)]
pub use self::wire::{Encoded, PartSchema, Schemas, Wire};
pub(crate) use self::wire::{NoSchemas, SchemaSource};

use std::future::Future;

use crate::context::Context;
use crate::error::{ConsumeError, ConsumeResult};
use crate::record::Record;
use crate::sync::{ModelRelation, ModelTopic};

/// A declared topic. Written by `#[topic(name = "…")]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a topic",
    note = "write `#[topic(name = \"…\")]` above `{Self}`"
)]
pub trait Topic: Sized + Send + Sync + 'static {
    /// What a key is to the handler.
    type Key: Send + 'static;
    /// What a value is to the handler.
    type Value: Send + 'static;
    /// How keys are read and written.
    type KeyFormat: Send + Sync + 'static;
    /// How values are read and written.
    type ValueFormat: Send + Sync + 'static;
    /// What was declared.
    const DECLARATION: TopicDeclaration;

    /// The topic's own value, where it can be made without the user: a unit struct, or one with `Default`.
    #[doc(hidden)]
    fn __construct() -> Option<Self>;
}

/// A topic with exactly one name, which can be produced to. Written by `#[topic]` for unit topics whose name is
/// not a regular expression.
#[diagnostic::on_unimplemented(
    message = "nothing can be produced to `{Self}`",
    label = "not a topic with one name of its own",
    note = "a topic declared by a regular expression (`^…`) or on a model has no producer; declare a unit topic: \
            `#[topic(name = \"…\", value = …)] struct …;`"
)]
pub trait ProducedTopic: Topic {}

/// A topic whose messages the user's own code handles.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what to do with a message",
    label = "no `TopicConsumer` for this topic",
    note = "implement `TopicConsumer` for `{Self}`, or derive `DbzConsumer` or `ModelTopicConsumer` on it"
)]
pub trait TopicConsumer: Topic {
    /// Handles one message. An error is retried, or sent to the dead letter topic, as `retry(…)` says.
    fn consume(&self, record: &Record<Self>, cx: &Context) -> impl Future<Output = ConsumeResult> + Send;

    /// The rows that a message refers to. While one of them does not exist, the message waits for it in the database,
    /// and later messages of its key behind it; the partition goes on. Default: none.
    ///
    /// # Errors
    /// As those of [`consume`](Self::consume).
    fn relations(&self, record: &Record<Self>) -> Result<Vec<ModelRelation>, ConsumeError> {
        let _ = record;
        Err(NoRelations.into())
    }
}

/// What the default of [`TopicConsumer::relations`] says: not even a database has to be asked.
#[derive(Debug, thiserror::Error)]
#[error("the topic declares no relations")]
struct NoRelations;

/// A topic that can stand in `topics(…)` of a consumer: one with a [`TopicConsumer`], or one on which
/// `DbzConsumer` or `ModelTopicConsumer` is derived.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be consumed",
    label = "not a topic that says what to do with a message",
    note = "a topic is declared by `#[topic(name = \"…\")]`; then implement `TopicConsumer` for `{Self}`, or derive \
            `DbzConsumer` or `ModelTopicConsumer` on it"
)]
pub trait ConsumedTopic: Topic {
    /// How its messages are handled.
    #[doc(hidden)]
    fn __handler() -> HandlerSource;
}

#[diagnostic::do_not_recommend]
impl<T: TopicConsumer> ConsumedTopic for T {
    fn __handler() -> HandlerSource {
        HandlerSource::Custom(custom_topic::<T>)
    }
}

/// Where a topic's handler comes from.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum HandlerSource {
    /// The user's `TopicConsumer`; `None` where the topic's value has to come through the builder.
    Custom(fn() -> Option<Box<dyn crate::topic::CustomTopic>>),
    /// Models kept in step.
    Models(&'static ModelTopic),
    /// The key offset tracker.
    KeyOffsets,
}

/// What a handler is asked for: the rows that a message refers to; `None`: its topic declares no relations.
#[doc(hidden)]
pub type AskedRelations<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Option<Vec<ModelRelation>>, ConsumeError>> + Send + 'a>>;

/// A user's `TopicConsumer` behind a pointer.
#[doc(hidden)]
pub trait CustomTopic: Send + Sync {
    /// Handles one message.
    fn consume<'a>(
        &'a self,
        raw: std::sync::Arc<crate::record::RawRecord>,
        attempt: u32,
        cx: &'a Context,
    ) -> std::pin::Pin<Box<dyn Future<Output = ConsumeResult> + Send + 'a>>;

    /// Whether it is known that the topic declares no relations.
    fn has_no_relations(&self) -> bool;

    /// The rows that a message refers to; `None`: the topic declares no relations.
    fn relations<'a>(&'a self, raw: std::sync::Arc<crate::record::RawRecord>, cx: &'a Context) -> AskedRelations<'a>;
}

struct Custom<T> {
    topic: T,
    /// The topic declares no relations: known since the first message.
    has_no_relations: std::sync::atomic::AtomicBool,
}

impl<T> Custom<T> {
    fn new(topic: T) -> Self {
        Self { topic, has_no_relations: std::sync::atomic::AtomicBool::new(false) }
    }
}

impl<T: TopicConsumer> CustomTopic for Custom<T> {
    fn consume<'a>(
        &'a self,
        raw: std::sync::Arc<crate::record::RawRecord>,
        attempt: u32,
        cx: &'a Context,
    ) -> std::pin::Pin<Box<dyn Future<Output = ConsumeResult> + Send + 'a>> {
        Box::pin(async move {
            #[cfg(all(feature = "avro", feature = "client"))]
            let schemas = cx.schemas_of(&T::DECLARATION, &raw).await?;
            #[cfg(not(all(feature = "avro", feature = "client")))]
            let schemas = Schemas::default();
            let record = Record::<T>::new(raw, attempt, schemas);
            self.topic.consume(&record, cx).await
        })
    }

    fn has_no_relations(&self) -> bool {
        self.has_no_relations.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn relations<'a>(&'a self, raw: std::sync::Arc<crate::record::RawRecord>, cx: &'a Context) -> AskedRelations<'a> {
        Box::pin(async move {
            #[cfg(all(feature = "avro", feature = "client"))]
            let schemas = cx.schemas_of(&T::DECLARATION, &raw).await?;
            #[cfg(not(all(feature = "avro", feature = "client")))]
            let (schemas, _) = (Schemas::default(), cx);
            let attempt = raw.retry_number();
            match self.topic.relations(&Record::<T>::new(raw, attempt, schemas)) {
                Ok(relations) => Ok(Some(relations)),
                Err(error) if error.error().is::<NoRelations>() => {
                    self.has_no_relations.store(true, std::sync::atomic::Ordering::Relaxed);
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        })
    }
}

fn custom_topic<T: TopicConsumer>() -> Option<Box<dyn CustomTopic>> {
    T::__construct().map(|topic| Box::new(Custom::new(topic)) as Box<dyn CustomTopic>)
}

/// A topic value given through the builder.
pub(crate) fn custom_topic_of<T: TopicConsumer>(topic: T) -> std::sync::Arc<dyn CustomTopic> {
    std::sync::Arc::new(Custom::new(topic))
}
