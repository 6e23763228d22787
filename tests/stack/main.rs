//! Tests against the real services: PostgreSQL, Kafka, and Debezium in Kafka Connect, with services as processes.
//!
//! `scripts/stack/up kafka postgres connect`, then `. ~/.cache/dkrs-stack/env`, then
//! `cargo test -p django-kafka-rs-tests --test stack`. Without the services each test fails and says so. Plain
//! `cargo test` leaves this target out.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod avro;
mod bidirectional;
mod chaos;
mod connectors;
mod debezium;
mod exactly_once;
mod groups;
mod harness;
mod large;
mod outages;
mod patterns;
mod relations;
mod scene;
#[cfg(feature = "temporal-tests")]
mod temporal;
#[cfg(feature = "tls-tests")]
mod tls;
