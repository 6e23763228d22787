//! Debezium's conventions.
pub mod dbz;
pub(crate) mod encoding;
mod schema;
pub use self::encoding::{DefaultEncoding, Encoding, Opt, Presence, Seq, Serde};
pub use self::schema::FieldSchema;
