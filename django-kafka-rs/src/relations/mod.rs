//! Rows that wait for their parents.
//!
//! A message that refers to a row which is not there yet is parked in a table, and its partition goes on; later messages
//! of its key are parked behind it. When the row comes, a daemon has them applied, in order, the way every message is.
//!
//! `gate` (pure) decides what waits, `store` keeps it, `resolver` knows what exists, `wake` tells the daemon.

mod gate;
mod message;
mod related;
mod resolver;
mod store;
#[cfg(test)]
mod tests;
mod wake;

pub(crate) use self::gate::{Ask, Decided, Fate, Wants, decide};
pub use self::message::{Awaited, Chain, Parking, WaitingMessage, WaitingStatus};
pub(crate) use self::related::{Declared, Referring, Related, Relations, is_same};
pub use self::resolver::{RelationError, RelationResolver, TableResolver};
pub(crate) use self::resolver::{awaited, model_key};
pub use self::store::{Claim, MessageProcessor, ParkedKey, Presence, Still, TableProcessor, Which};
pub(crate) use self::wake::News;
