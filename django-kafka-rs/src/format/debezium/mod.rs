//! Debezium's conventions: how it writes values, and what it writes where it has none.

pub mod dbz;
mod decimal;
pub(crate) mod encoding;
pub(crate) mod event;
mod placeholder;
mod plain;
mod scalar;
mod schema;
mod temporal;
#[cfg(test)]
mod tests;

pub use self::decimal::{DecimalNeedsScale, FromDecimal, SaysHow};
pub use self::encoding::{ByType, DefaultEncoding, Encoding, Opt, Presence, Seq, Serde};
pub(crate) use self::scalar::quoted;
pub(crate) use self::schema::ConnectSchema;
pub use self::schema::FieldSchema;
