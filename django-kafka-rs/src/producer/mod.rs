//! Producing: a message and its acknowledgement, and scopes in which nothing is produced.

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod kafka;
mod suppression;
#[cfg(all(test, feature = "client"))]
mod tests;

#[cfg(feature = "client")]
pub use self::client::Delivery;
#[cfg(feature = "client")]
pub(crate) use self::client::{Outgoing, Producer};
#[cfg(feature = "client")]
pub use self::kafka::{Kafka, MessageBuilder};
pub use self::suppression::{Suppression, TopicNames, suppress, suppress_all, unsuppress};
