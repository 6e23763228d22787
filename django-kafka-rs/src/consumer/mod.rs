//! Consumers: what is declared of them, and the engine that runs one.
//!
//! The poll thread (`poll`) hands events (`event`) to the engine (`engine`), which keeps a lane (`lane`) for each
//! partition and runs batches (`batch`) beside itself.

#[cfg(feature = "client")]
pub(crate) mod batch;
mod declaration;
#[cfg(feature = "client")]
pub(crate) mod engine;
#[cfg(feature = "client")]
pub(crate) mod event;
#[cfg(feature = "client")]
pub(crate) mod fence;
#[cfg(feature = "client")]
pub(crate) mod lane;
#[cfg(feature = "client")]
pub(crate) mod ledger;
#[cfg(feature = "client")]
mod outbox;
#[cfg(feature = "client")]
pub(crate) mod poll;
#[cfg(feature = "client")]
pub(crate) mod progress;
#[cfg(feature = "client")]
pub(crate) mod replay;
#[cfg(feature = "client")]
mod superseding;
#[cfg(feature = "client")]
pub(crate) mod tally;
#[cfg(feature = "client")]
pub(crate) mod topic;

#[doc(hidden)]
pub use self::declaration::check_consumer_topic;
pub use self::declaration::{
    BatchSettings, ConfigValue, Consumer, ConsumerDeclaration, OffsetStore, SuppressedTopics, TopicEntry,
};
