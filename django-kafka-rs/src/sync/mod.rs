//! Model sync: from a message to a row.
//!
//! `model` is what the derives implement, `decode` turns bytes into patches, `plan` (pure) turns a batch into
//! statements, `write` runs them.

<<<<<<< HEAD
#[cfg(any(feature = "postgres", feature = "sqlite"))]
=======
#[cfg(all(feature = "client", feature = "sqlite"))]
>>>>>>> main
mod apply;
mod context;
#[doc(hidden)]
pub mod decode;
mod lookup;
mod model;
#[cfg(feature = "client")]
pub(crate) mod plan;
#[doc(hidden)]
pub mod probe;
#[doc(hidden)]
pub mod stub;
<<<<<<< HEAD
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) mod table;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
=======
#[cfg(all(feature = "client", feature = "sqlite"))]
pub(crate) mod table;
#[cfg(all(feature = "client", feature = "sqlite"))]
>>>>>>> main
pub(crate) mod write;

pub use self::context::{Applied, SyncContext};
pub use self::lookup::{ColumnOf, Lookup};
#[cfg(feature = "postgres")]
pub use self::model::PostgresArray;
pub use self::model::{
    After, ColumnDescriptor, ColumnSet, Dialect, Envelope, IsDeletion, LookupField, LookupWith, ModelDescriptor,
    ModelTopic, ModelTopicConsumer, Patch, Row, SyncModel, SyncOptions, TableName, Targets, ToJson, check_lookup_field,
    table_name, to_json,
};

<<<<<<< HEAD
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use self::apply::{ModelSync, Outcome, Report, Stop, Verdict};
=======
#[cfg(all(feature = "client", feature = "sqlite"))]
pub(crate) use self::apply::{ModelSync, Outcome, Stop, Verdict};
>>>>>>> main
