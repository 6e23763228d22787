//! The key offset tracker: which offset of each key is its latest, so that a message which fails because its rows are
//! not there is passed over once a newer message of its key has come.
//!
//! ```no_run
//! use django_kafka_rs::prelude::*;
//!
//! #[topic(name = "orders", retry(max_retries = -1, delay = 10, use_offset_tracker))]
//! struct Orders;
//! # impl TopicConsumer for Orders {
//! #     async fn consume(&self, _: &Record<Self>, _: &Context) -> ConsumeResult { Ok(()) }
//! # }
//!
//! #[consumer(group = "crm", topics(Orders))]
//! struct Crm;
//!
//! fn main() -> std::process::ExitCode {
//!     App::from_linked().consumer(KeyOffsetTracker::enable("crm-key-offsets")).run()
//! }
//! ```
//!
//! Or, in the settings, `group_id` in `[key_offset_tracker]`. It is a consumer of its own, `KeyOffsetTracker`: it reads
//! every topic whose retry settings say `use_offset_tracker` from the beginning, and keeps the table
//! `django_kafka_key_offset_tracker`, which `migrate` creates. It runs with the others, or alone, by
//! `consume KeyOffsetTracker`.
//!
//! When a handler or a model's write fails with a relational error ([`RowNotFound`](crate::error::RowNotFound),
//! [`ConstraintViolation`](crate::error::ConstraintViolation), or Diesel's own among the error's causes), and the table
//! has a later offset of the message's key in the same partition, the message is *superseded*: it is skipped, counted
//! and logged, and neither retried nor sent to the dead letter topic. Messages that came through a retry topic go by
//! where they were first read. A message without a key is never superseded, and neither is one whose key is longer
//! than 2000 bytes, which an index cannot hold.

#[cfg(feature = "client")]
mod decide;
#[cfg(feature = "client")]
mod follow;
#[cfg(feature = "client")]
mod question;
#[cfg(feature = "client")]
mod store;
#[cfg(feature = "client")]
#[cfg(test)]
mod tests;
#[cfg(feature = "client")]
mod watermarks;

#[cfg(feature = "client")]
pub(crate) use self::{
    decide::is_relational,
    follow::{Followed, follow},
    question::{Question, Tracker},
    watermarks::Watermarks,
};

use crate::consumer::{ConfigValue, Consumer, ConsumerDeclaration};
use crate::topic::Location;

/// The name by which `consume` takes the tracker.
pub(crate) const NAME: &str = "KeyOffsetTracker";

/// The key offset tracker, to be given to `App::consumer`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "give it to the application: `App::from_linked().consumer(KeyOffsetTracker::enable(…))`"]
pub struct KeyOffsetTracker {
    group_id: String,
}

impl KeyOffsetTracker {
    /// Enables the tracker under a consumer group of its own; `${variables}` are filled in. It goes before `group_id` in
    /// `[key_offset_tracker]` of the settings.
    pub fn enable(group_id: impl Into<String>) -> Self {
        Self { group_id: group_id.into() }
    }
}

#[diagnostic::do_not_recommend]
impl Consumer for KeyOffsetTracker {
    const DECLARATION: ConsumerDeclaration =
        ConsumerDeclaration::new(NAME, "", &[], Location { file: file!(), line: line!() })
            .config(&[("auto.offset.reset", ConfigValue::Str("earliest"))]);

    fn __tracker_group(&self) -> Option<&str> {
        Some(&self.group_id)
    }
}
