//! Connectors of Kafka Connect, as code: `#[connector]` declares one, the command `connect` validates, publishes and
//! watches it.
//!
//! ```
//! use django_kafka_rs::connect::{ConnectorConfig, debezium, env, setting};
//! use django_kafka_rs::prelude::*;
//!
//! #[connector(config = crm_source)]
//! struct CrmSource;
//!
//! fn crm_source() -> ConnectorConfig {
//!     ConnectorConfig::of_class(debezium::POSTGRES)
//!         .set("topic.prefix", setting("topic_variables.prefix"))
//!         .set("database.hostname", "db.internal")
//!         .set("database.user", "debezium")
//!         .set("database.password", env("DB_PASSWORD"))
//!         .set("database.dbname", "crm")
//!         .set("table.include.list", "public.customers,public.orders")
//!         .with(debezium::Events::default())
//! }
//! ```
//!
//! Short configurations stand in the attribute itself: see [`#[connector]`](macro@crate::prelude::connector). What the
//! consumers' side needs of Debezium is in [`debezium`].

#[cfg(feature = "connect")]
pub(crate) mod answer;
#[cfg(feature = "connect")]
pub(crate) mod client;
#[cfg(feature = "connect")]
pub(crate) mod command;
mod config;
pub mod debezium;
mod declaration;
#[cfg(feature = "client")]
pub(crate) mod resolve;
#[cfg(feature = "connect")]
mod retry;
#[cfg(feature = "connect")]
pub(crate) mod step;
#[cfg(all(test, feature = "connect"))]
mod tests;

pub use self::config::{ConfigError, ConnectorConfig, ConnectorValue, IntoConnectorConfig, env, setting};
pub use self::declaration::{Connector, ConnectorDeclaration, ConnectorSource};
