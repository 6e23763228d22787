//! Rows that wait for their parents.
//!
//! A message that refers to a row which is not there yet is parked in a table, and its partition goes on; later messages
//! of its key are parked behind it. When the row comes, a daemon has them applied, in order, the way every message is.
//!
//! `gate` (pure) decides what waits, `store` keeps it, `resolver` knows what exists, `wake` tells the daemon, `told` those of other
//! processes.

mod daemon;
mod gate;
mod lane;
mod message;
mod related;
mod resolver;
mod store;
#[cfg(test)]
mod tests;
mod told;
mod wake;

/// What tells a [`ResolverDaemon`] to end.
#[doc(no_inline)]
pub use tokio_util::sync::CancellationToken;

pub(crate) use self::daemon::Group;
#[cfg(test)]
pub(crate) use self::daemon::Taken;
pub use self::daemon::{LocalDaemon, Resolvable, ResolveError, Resolver, ResolverDaemon};
#[cfg(feature = "temporal")]
pub(crate) use self::daemon::{awaited as awaited_of_text, temporal};
pub(crate) use self::gate::{Ask, Decided, Fate, Wants, decide};
pub(crate) use self::lane::{Admit, LaneGate, Storing};
pub use self::message::{Awaited, Chain, Parking, WaitingMessage, WaitingStatus};
pub(crate) use self::related::{Declared, Referring, Related, Relations, is_same};
pub use self::resolver::{RelationError, RelationResolver, TableResolver};
pub(crate) use self::resolver::{awaited, model_key};
pub use self::store::{Claim, Count, MessageProcessor, ParkedKey, Presence, Still, TableProcessor, Which};
pub(crate) use self::told::text as told_text;
pub(crate) use self::wake::News;

use crate::db::{DbConn, introspect};
use crate::error::ConsumeError;
use crate::sync::TableName;

/// Whether the table of waiting messages exists.
pub(crate) fn has_table(conn: &mut DbConn) -> diesel::QueryResult<bool> {
    let name = TableName {
        plain: "django_kafka_waiting_message",
        #[cfg(feature = "postgres")]
        postgres: "\"django_kafka_waiting_message\"".to_owned(),
        #[cfg(feature = "sqlite")]
        sqlite: "`django_kafka_waiting_message`".to_owned(),
    };
    Ok(introspect::table(conn, &name)?.is_some())
}

/// What is wrong with the table of waiting messages, if anything.
pub(crate) fn mistake(conn: &mut DbConn) -> diesel::QueryResult<Option<String>> {
    Ok((!has_table(conn)?).then(|| {
        "table `django_kafka_waiting_message`, where messages wait for the rows they refer to, does not exist; run \
         `migrate`"
            .to_owned()
    }))
}

/// Whether a row was refused because of another row: one that it refers to, or that refers to it.
pub(crate) fn violates_foreign_key(error: &ConsumeError) -> bool {
    use diesel::result::{DatabaseErrorKind as Kind, Error};
    let mut next = Some(error.error());
    while let Some(source) = next {
        if let Some(Error::DatabaseError(kind, _)) = source.downcast_ref::<Error>() {
            return matches!(kind, Kind::ForeignKeyViolation | Kind::RestrictViolation);
        }
        next = source.source();
    }
    false
}
