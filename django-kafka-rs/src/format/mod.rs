//! What messages look like inside: Debezium's encodings of values, and what wraps a row.

#[cfg(feature = "avro")]
pub(crate) mod avro;
pub mod debezium;

pub use self::debezium::FieldSchema;
