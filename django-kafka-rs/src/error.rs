//! Errors: what a handler may return, and the types of ours that `include(…)` can name.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What a handler returns for one message.
pub type ConsumeResult = Result<(), ConsumeError>;

/// A boxed error as handlers produce it.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Why one message was not handled, and what is to happen to it.
///
/// Made from any error by `?`; then the topic's retry settings decide. The constructors below say something
/// else for this one message. Like `anyhow::Error` it does not implement [`Error`] itself, so that `?` can take
/// every type that does.
pub struct ConsumeError {
    action: Action,
    source: BoxError,
    backtrace: Backtrace,
}

/// What a failed message's handler asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// What the topic's retry settings say.
    Policy,
    /// Pass over the message.
    Skip,
    /// To the dead letter topic at once.
    DeadLetter,
    /// Retry after this time instead of the settings' delay.
    RetryAfter(Duration),
}

impl ConsumeError {
    /// Passes over the message: it is counted and logged, its offset is stored, nothing is retried.
    pub fn skip(why: impl Into<BoxError>) -> Self {
        Self::with_action(Action::Skip, why.into())
    }

    /// Sends the message to the dead letter topic without a retry.
    pub fn dead_letter(why: impl Into<BoxError>) -> Self {
        Self::with_action(Action::DeadLetter, why.into())
    }

    /// Retries the message after `delay` instead of the topic's own delay; it still counts as an attempt.
    ///
    /// Where the topic has a `max_delay`, that caps it.
    pub fn retry_after(delay: Duration) -> Self {
        Self::with_action(
            Action::RetryAfter(delay),
            format!("the handler asked to be called again in {delay:?}").into(),
        )
    }

    /// A decode error with the part of the message that it is about; any other as it is.
    #[cfg(feature = "avro")]
    pub(crate) fn in_context(mut self, part: &str) -> Self {
        if let Some(error) = self.source.downcast_mut::<DecodeError>() {
            error.message = format!("{part}: {}", error.message);
        }
        self
    }

    /// The error itself.
    #[must_use]
    pub fn error(&self) -> &(dyn Error + 'static) {
        &*self.source
    }

    pub(crate) fn action(&self) -> Action {
        self.action
    }

    /// The backtrace, where one was captured (`RUST_BACKTRACE=1`).
    pub(crate) fn backtrace(&self) -> Option<&Backtrace> {
        (self.backtrace.status() == BacktraceStatus::Captured).then_some(&self.backtrace)
    }

    fn with_action(action: Action, source: BoxError) -> Self {
        Self { action, source, backtrace: Backtrace::capture() }
    }
}

impl<E: Into<BoxError>> From<E> for ConsumeError {
    fn from(error: E) -> Self {
        let source = error.into();
        // What a field's function asked for goes on through the error that names the field.
        let action = source.downcast_ref::<TransformError>().map_or(Action::Policy, |transform| transform.action);
        Self::with_action(action, source)
    }
}

impl fmt::Debug for ConsumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumeError").field("action", &self.action).field("source", &self.source).finish()
    }
}

impl fmt::Display for ConsumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source, f)
    }
}

/// Bytes that are not what the topic's format or the model's columns expect.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    message: String,
    #[source]
    source: Option<BoxError>,
}

impl DecodeError {
    /// An error with this text: what was expected, what was found, and where.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// An error with this text, caused by `source`.
    pub fn caused_by(message: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self { message: message.into(), source: Some(source.into()) }
    }
}

/// A value that a topic's format cannot write.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct EncodeError {
    message: String,
    #[source]
    source: Option<BoxError>,
}

impl EncodeError {
    /// An error with this text: what has no form in the format, and why.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// An error with this text, caused by `source`.
    pub fn caused_by(message: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self { message: message.into(), source: Some(source.into()) }
    }
}

/// A row that the message refers to is not there.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RowNotFound {
    message: String,
}

impl RowNotFound {
    /// An error with this text: the table and what was looked for.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// A row that the database refuses: a unique, foreign key, not-null or check constraint.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConstraintViolation {
    message: String,
    #[source]
    source: diesel::result::Error,
}

impl ConstraintViolation {
    pub(crate) fn new(message: impl Into<String>, source: diesel::result::Error) -> Self {
        Self { message: message.into(), source }
    }
}

/// A message that could not be produced.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ProduceError {
    message: String,
    /// The brokers are away; the message is not at fault.
    is_outage: bool,
    #[source]
    source: Option<BoxError>,
}

impl ProduceError {
    /// An error with this text.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_outage: false, source: None }
    }

    /// An error with this text, caused by `source`.
    pub fn caused_by(message: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self { message: message.into(), is_outage: false, source: Some(source.into()) }
    }

    /// The same, as an outage of the brokers. A handler that returns it, in whatever error of its own that tells its
    /// source, is called again when they are back, and no attempt is counted.
    #[must_use]
    pub fn outage(mut self) -> Self {
        self.is_outage = true;
        self
    }

    /// Whether the brokers were away.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        self.is_outage
    }
}

/// A field's `with` or `compute` function refused the message.
#[derive(Debug, thiserror::Error)]
#[error("field `{field}`: {source}")]
pub struct TransformError {
    field: &'static str,
    action: Action,
    #[source]
    source: BoxError,
}

impl TransformError {
    #[doc(hidden)]
    #[must_use]
    pub fn new(field: &'static str, error: impl Into<ConsumeError>) -> Self {
        let ConsumeError { action, source, .. } = error.into();
        Self { field, action, source }
    }
}

/// The schema registry is away: the message is not at fault, and waits.
#[cfg(feature = "client")]
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RegistryAway(pub(crate) String);

/// An `after` function refused the message.
#[cfg(feature = "client")]
#[derive(Debug, thiserror::Error)]
#[error("the `after` function failed: {source}")]
pub(crate) struct AfterError {
    #[source]
    source: BoxError,
}

#[cfg(feature = "client")]
impl AfterError {
    /// Says whose error it is; what it asked for stays.
    pub(crate) fn wrap(error: ConsumeError) -> ConsumeError {
        let ConsumeError { action, source, backtrace } = error;
        ConsumeError { action, source: Box::new(Self { source }), backtrace }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_s_function_can_skip_the_message() {
        let error = ConsumeError::from(TransformError::new("total", ConsumeError::skip("a draft")));
        assert_eq!(error.action(), Action::Skip);
        assert_eq!(error.to_string(), "field `total`: a draft");
        let error = ConsumeError::from(TransformError::new("total", "no number"));
        assert_eq!(error.action(), Action::Policy);
    }
}
