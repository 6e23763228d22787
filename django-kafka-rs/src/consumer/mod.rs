//! Consumers.
mod declaration;
pub use self::declaration::{BatchSettings, ConfigValue, Consumer, ConsumerDeclaration, OffsetStore, TopicEntry};
