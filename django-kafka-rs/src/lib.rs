//! Declarative Kafka consumers and producers that keep Diesel models in step with topics.

#[doc(hidden)]
pub mod __private;
pub mod consumer;
pub mod context;
pub mod db;
pub mod error;
pub mod format;
#[cfg(feature = "client")]
mod nearest;
pub mod record;
mod registry;
pub mod sync;
pub mod topic;
