//! Consumers.
mod declaration;
#[doc(hidden)]
pub use self::declaration::check_consumer_topic;
pub use self::declaration::{BatchSettings, ConfigValue, Consumer, ConsumerDeclaration, OffsetStore, TopicEntry};
