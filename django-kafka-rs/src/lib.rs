//! Declarative Kafka consumers and producers that keep Diesel models in step with topics.
#![cfg_attr(
    not(feature = "client"),
    allow(dead_code, unused_imports, reason = "without the client nothing runs what declarations are checked against")
)]

#[doc(hidden)]
pub mod __private;
#[cfg(feature = "client")]
mod app;
#[cfg(feature = "client")]
mod cli;
#[cfg(feature = "client")]
mod clock;
pub mod consumer;
pub mod context;
pub mod db;
#[cfg(feature = "client")]
pub mod dead_letter;
#[cfg(feature = "client")]
pub mod embedded;
pub mod error;
pub mod format;
#[cfg(feature = "client")]
mod kafka;
#[cfg(feature = "client")]
mod nearest;
#[cfg(feature = "client")]
pub mod producer;
pub mod record;

mod registry;
#[cfg(feature = "client")]
mod retry;
#[cfg(feature = "client")]
pub mod settings;
pub mod sync;
#[cfg(feature = "client")]
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod topic;
#[cfg(feature = "client")]
mod topic_admin;

/// What a program that declares topics and consumers names: `use django_kafka_rs::prelude::*;`. Diesel's own
/// prelude is part of it.
pub mod prelude {
    pub use diesel::prelude::*;
    pub use django_kafka_rs_macros::{DbzConsumer, ModelTopicConsumer, SyncModel, consumer, topic};

    #[cfg(feature = "client")]
    pub use crate::app::App;
    pub use crate::consumer::Consumer;
    pub use crate::context::Context;
    pub use crate::error::{
        ConstraintViolation, ConsumeError, ConsumeResult, DecodeError, EncodeError, ProduceError, RowNotFound,
        TransformError,
    };
    pub use crate::format::debezium::dbz;
    pub use crate::record::{Headers, Record};
    pub use crate::sync::{Applied, Lookup, ModelTopicConsumer, SyncContext, SyncModel};
    pub use crate::topic::{Decode, Encode, ProducedTopic, Topic, TopicConsumer};
}

#[cfg(feature = "client")]
pub use self::app::{App, Handle, RunError, StartError, Summary, run};
#[cfg(feature = "client")]
pub use self::kafka::ClientError;
