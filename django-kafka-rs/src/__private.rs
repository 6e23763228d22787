//! What generated code names. Not part of the public interface: it changes without notice, and the macros' version
//! is pinned to this crate's.

pub use diesel;
pub use linkme;
pub use serde;
pub use serde_json;

pub use crate::connect::{Connector, ConnectorDeclaration, IntoConnectorConfig};
pub use crate::consumer::{
    BatchSettings, ConfigValue, Consumer, ConsumerDeclaration, OffsetStore, SuppressedTopics, TopicEntry,
    check_consumer_topic,
};
pub use crate::context::Context;
pub use crate::db::DbConn;
pub use crate::error::{ConsumeError, DecodeError, TransformError};
#[cfg(feature = "avro")]
pub use crate::format::avro::{Avro, DeclaredSchema};
pub use crate::format::debezium::{DefaultEncoding, Encoding, FieldSchema, Opt, Presence, Seq, Serde, dbz};
pub use crate::registry::{DECLARATIONS, Declaration};
pub use crate::sync::decode::{Decoded, ReadPlan, decode_message};
pub use crate::sync::probe;
pub use crate::sync::*;
pub use crate::topic::names::{check_derived_names, check_topic_name};
pub use crate::topic::{
    Bytes, ConsumedTopic, Decode, Encode, ErrorType, HandlerSource, Json, Location, ProducedTopic, ReproducedModel,
    ReproducedSource, ReproducedTopic, RetryMode, RetrySettings, SourceName, Text, Topic, TopicDeclaration,
};

/// Expands to its content where the runtime has PostgreSQL: generated code follows the runtime's features, not the
/// user's crate's.
#[cfg(feature = "postgres")]
#[macro_export]
#[doc(hidden)]
macro_rules! __postgres { ($($item:tt)*) => { $($item)* } }
/// Expands to nothing: this runtime has no PostgreSQL.
#[cfg(not(feature = "postgres"))]
#[macro_export]
#[doc(hidden)]
macro_rules! __postgres {
    ($($item:tt)*) => {};
}
pub use crate::__postgres as postgres;

/// Whether PostgreSQL stores the type as the SQL type; never, where the runtime has no PostgreSQL.
#[cfg(feature = "postgres")]
#[macro_export]
#[doc(hidden)]
macro_rules! __stores_postgres {
    ($type:ty, $sql_type:ty) => {{
        use $crate::__private::probe::StoresPostgresNot as _;
        <$crate::__private::probe::StoresPostgres<$type, $sql_type>>::YES
    }};
}
/// Never: this runtime has no PostgreSQL.
#[cfg(not(feature = "postgres"))]
#[macro_export]
#[doc(hidden)]
macro_rules! __stores_postgres {
    ($type:ty, $sql_type:ty) => {
        false
    };
}
pub use crate::__stores_postgres as stores_postgres;

/// Expands to its content where the runtime has SQLite: generated code follows the runtime's features, not the
/// user's crate's.
#[cfg(feature = "sqlite")]
#[macro_export]
#[doc(hidden)]
macro_rules! __sqlite { ($($item:tt)*) => { $($item)* } }
/// Expands to nothing: this runtime has no SQLite.
#[cfg(not(feature = "sqlite"))]
#[macro_export]
#[doc(hidden)]
macro_rules! __sqlite {
    ($($item:tt)*) => {};
}
pub use crate::__sqlite as sqlite;

/// Whether SQLite stores the type as the SQL type; never, where the runtime has no SQLite.
#[cfg(feature = "sqlite")]
#[macro_export]
#[doc(hidden)]
macro_rules! __stores_sqlite {
    ($type:ty, $sql_type:ty) => {{
        use $crate::__private::probe::StoresSqliteNot as _;
        <$crate::__private::probe::StoresSqlite<$type, $sql_type>>::YES
    }};
}
/// Never: this runtime has no SQLite.
#[cfg(not(feature = "sqlite"))]
#[macro_export]
#[doc(hidden)]
macro_rules! __stores_sqlite {
    ($type:ty, $sql_type:ty) => {
        false
    };
}
pub use crate::__stores_sqlite as stores_sqlite;
