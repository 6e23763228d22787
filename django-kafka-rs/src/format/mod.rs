//! What messages look like inside: Debezium's encodings of values, and what wraps a row.

pub mod debezium;

pub use self::debezium::FieldSchema;
