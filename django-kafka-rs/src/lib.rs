//! Declarative Kafka consumers and producers that keep Diesel models in step with topics.
//!
//! Annotate your Diesel models, call [`run`], and get a service that keeps their tables (PostgreSQL or SQLite) in step
//! with Kafka topics: with Debezium's change events above all, and with the events of other services.
//!
//! Quick links:
//!
//! - declaring: [`#[topic]`](macro@prelude::topic) and its `retry(…)`, [`#[consumer]`](macro@prelude::consumer),
//!   [`DbzConsumer`](derive@prelude::DbzConsumer) with `#[sync(…)]` and `#[reroute(…)]`,
//!   [`ModelTopicConsumer`](derive@prelude::ModelTopicConsumer), [`SyncModel`](derive@prelude::SyncModel),
//!   [`KafkaConnectSkip`](derive@prelude::KafkaConnectSkip), [`TopicReproducer`](derive@prelude::TopicReproducer)
//! - connectors of Kafka Connect as code: [`#[connector]`](macro@prelude::connector), [`connect`]
//! - handling messages yourself: [`TopicConsumer`](topic::TopicConsumer), [`Record`](record::Record),
//!   [`Context`](context::Context), [`ConsumeError`](error::ConsumeError)
//! - values: [`dbz`](format::debezium::dbz), and formats of your own by [`Decode`](topic::Decode) and
//!   [`Encode`](topic::Encode)
#![cfg_attr(
    feature = "client",
    doc = "- running: [`run`], [`App`], [`Handle`], [`settings`], and the headers of [dead letters](dead_letter)"
)]
#![cfg_attr(feature = "testing", doc = "- testing: [`TestApp`](testing::TestApp)")]
//!
//! ```no_run
//! use django_kafka_rs::prelude::*;
//!
//! diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }
//!
//! #[topic(name = "${prefix}.public.customers", retry(max_retries = 5, delay = "2s", backoff))]
//! #[derive(DbzConsumer)]
//! #[diesel(table_name = customers)]
//! struct Customer {
//!     id: i64,
//!     name: String,
//!     email: Option<String>,
//! }
//!
//! #[consumer(group = "crm", topics(Customer), config("auto.offset.reset" = "earliest"))]
//! struct Crm;
//!
//! # #[cfg(feature = "client")]
//! fn main() -> std::process::ExitCode {
//!     django_kafka_rs::run()
//! }
//! # #[cfg(not(feature = "client"))]
//! # fn main() {}
//! ```
//!
//! # Features
//!
//! Default: `avro`, `client`, `connect`, `postgres`, `sqlite`.
//!
//! - `client`: the Kafka client, the runtime and the command line. Without it there are the declarations and their checks
//!   only, for crates that hold models.
//! - `postgres`, `sqlite`: the databases, of which `client` needs one; libpq and SQLite are built along. `postgres-tls`
//!   builds OpenSSL too.
//! - `ssl`, `ssl-vendored`, `gssapi-vendored`, `zstd`: what librdkafka can do beyond its default build.
//! - `avro`: `format = avro` and the client of a schema registry.
//! - `connect`: the command of this name; connectors are declared without it. `https` is TLS to Kafka Connect and to the
//!   schema registry.
//! - `metrics`: what the service does, for Prometheus and for probes, over HTTP.
//! - `testing`: tests of your models without services.

#![cfg_attr(
    not(feature = "client"),
    allow(dead_code, unused_imports, reason = "without the client nothing runs what declarations are checked against")
)]
#![cfg_attr(
    all(feature = "client", not(feature = "testing")),
    allow(dead_code, unused_imports, reason = "what only `TestApp` uses")
)]
#![cfg_attr(
    not(all(feature = "avro", feature = "connect")),
    allow(dead_code, unused_imports, reason = "what only the registry's client or Kafka Connect's uses")
)]

#[cfg(all(feature = "client", not(any(feature = "postgres", feature = "sqlite"))))]
compile_error!("the feature `client` needs a database: enable `postgres`, `sqlite`, or both");

#[doc(hidden)]
pub mod __private;
#[cfg(feature = "client")]
mod app;
#[cfg(feature = "client")]
mod cli;
#[cfg(feature = "client")]
mod clock;
pub mod connect;
mod const_text;
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
pub mod key_offset_tracker;
#[cfg(all(doctest, feature = "client", feature = "postgres"))]
mod macro_pages;
#[cfg(feature = "client")]
mod meters;
#[cfg(feature = "client")]
mod nearest;
pub mod producer;
pub mod record;

mod registry;
#[cfg(all(feature = "client", any(feature = "postgres", feature = "sqlite")))]
pub mod relations;
#[cfg(feature = "client")]
mod retry;
#[cfg(feature = "client")]
mod schema_registry;
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
    pub use django_kafka_rs_macros::{
        DbzConsumer, KafkaConnectSkip, ModelTopicConsumer, SyncModel, TopicReproducer, connector, consumer, topic,
    };

    #[cfg(feature = "client")]
    pub use crate::app::App;
    pub use crate::connect::Connector;
    pub use crate::consumer::Consumer;
    pub use crate::context::Context;
    pub use crate::error::{
        ConstraintViolation, ConsumeError, ConsumeResult, DecodeError, EncodeError, ProduceError, RowNotFound,
        TransformError,
    };
    pub use crate::format::debezium::dbz;
    pub use crate::key_offset_tracker::KeyOffsetTracker;
    pub use crate::producer::{suppress, suppress_all, unsuppress};
    pub use crate::record::{Headers, Record};
    pub use crate::sync::{
        Applied, KafkaConnectSkip, KafkaSkip, Lookup, ModelRelation, ModelTopicConsumer, SyncContext, SyncModel,
    };
    pub use crate::topic::{Decode, Encode, ProducedTopic, Reproduce, Reproducer, Topic, TopicConsumer};
}

#[cfg(feature = "client")]
pub use self::app::{App, Handle, RunError, StartError, Summary, run};
#[cfg(feature = "client")]
pub use self::kafka::ClientError;
pub use self::producer::{suppress, suppress_all, unsuppress};
