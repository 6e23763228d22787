//! One test binary, against the embedded broker and SQLite: nothing has to be installed. With `DATABASE_URL` set, PostgreSQL too.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without ends it")]

mod avro;
mod avro_reproducer;
mod bad_input;
mod custom;
mod derive;
mod dlq;
mod engine;
mod exactly_once;
mod faults;
mod guard;
mod handlers;
mod kafka_skip;
mod metrics;
mod models;
mod postgres;
mod producers;
mod refusals;
mod relations;
mod reproducer;
mod retry_topics;
mod service;
mod tidy;
mod tracker;
mod waiting;
