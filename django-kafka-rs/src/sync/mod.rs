//! Model sync: from a message to a row.
//!
//! `model` is what the derives implement, `decode` turns bytes into patches, `plan` (pure) turns a batch into
//! statements, `write` runs them. `kafka_skip` marks rows for source connectors.

#[cfg(all(feature = "client", any(feature = "postgres", feature = "sqlite")))]
mod apply;
mod context;
#[doc(hidden)]
pub mod decode;
#[cfg(all(feature = "client", any(feature = "postgres", feature = "sqlite")))]
pub(crate) mod guard;
pub(crate) mod kafka_skip;
mod lookup;
mod model;
#[cfg(feature = "client")]
pub(crate) mod plan;
#[doc(hidden)]
pub mod probe;
mod relation;
#[doc(hidden)]
pub mod stub;
#[cfg(all(feature = "client", any(feature = "postgres", feature = "sqlite")))]
pub(crate) mod table;
#[cfg(all(feature = "client", any(feature = "postgres", feature = "sqlite")))]
pub(crate) mod write;

pub use self::context::{Applied, SyncContext};
pub use self::kafka_skip::{
    DeleteRows, KafkaConnectSkip, KafkaSkip, Marked, Renders, SaveConnection, SavedColumn, SavedRow, SetMark, WithMark,
};
pub use self::lookup::{ColumnOf, Lookup};
#[cfg(feature = "postgres")]
pub use self::model::PostgresArray;
pub use self::model::{
    After, ColumnDescriptor, ColumnSet, Dialect, Envelope, IsDeletion, LookupField, LookupWith, ModelDescriptor,
    ModelTopic, ModelTopicConsumer, PartFormat, Patch, RelationsWith, Row, SyncModel, SyncOptions, TableName, Targets,
    ToJson, check_lookup_field, check_scale, check_schema_fields, table_name, to_json,
};
pub use self::relation::{
    IdValue, ModelRelation, RelationDescriptor, RelationId, check_relation, check_relation_field,
};

#[cfg(all(feature = "client", any(feature = "postgres", feature = "sqlite")))]
pub(crate) use self::apply::{
    Ahead, Caller, Claimed, Covered, ModelSync, Outcome, Refused, Stage, Stages, Stop, Verdict,
};
