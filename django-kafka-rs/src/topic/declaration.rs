//! What `#[topic]` says, as constants.

use std::error::Error;
use std::time::Duration;

use super::ReproducedSource;
use super::wire::Wire;

/// Where something was declared, for messages at start-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The file, as the compiler names it.
    pub file: &'static str,
    /// The line.
    pub line: u32,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A topic as declared.
#[derive(Debug, Clone, Copy)]
pub struct TopicDeclaration {
    /// The Rust type's name.
    pub type_name: &'static str,
    /// The name as written: with `${variables}`, and `^…` for a regular expression.
    pub name: &'static str,
    /// `retry(…)`, where it was written; else the setting `retry_settings` applies.
    pub retry: Option<RetrySettings>,
    /// What stands before its keys.
    #[doc(hidden)]
    pub key_wire: Wire,
    /// What stands before its values.
    #[doc(hidden)]
    pub value_wire: Wire,
    /// Where.
    pub location: Location,
    /// Of a reproducer: which events it consumes; then `name` only stands for what is known at start.
    #[doc(hidden)]
    pub reproduces: Option<ReproducedSource>,
}

impl TopicDeclaration {
    /// A topic without retry settings of its own.
    #[must_use]
    pub const fn new(type_name: &'static str, name: &'static str, location: Location) -> Self {
        Self { type_name, name, retry: None, key_wire: Wire::Own, value_wire: Wire::Own, location, reproduces: None }
    }

    /// The same with keys in Avro.
    #[doc(hidden)]
    #[must_use]
    pub const fn avro_keys(mut self, schema: Option<&'static str>) -> Self {
        self.key_wire = Wire::Avro(schema);
        self
    }

    /// The same with values in Avro.
    #[doc(hidden)]
    #[must_use]
    pub const fn avro_values(mut self, schema: Option<&'static str>) -> Self {
        self.value_wire = Wire::Avro(schema);
        self
    }

    /// Whether its keys or its values need a schema registry.
    #[must_use]
    pub const fn needs_schema_registry(&self) -> bool {
        matches!(self.key_wire, Wire::Avro(_)) || matches!(self.value_wire, Wire::Avro(_))
    }

    /// Whether its messages may name schemas.
    #[cfg(all(feature = "avro", feature = "client"))]
    pub(crate) fn may_name_schemas(&self) -> bool {
        self.key_wire != Wire::Own || self.value_wire != Wire::Own
    }

    /// The same with `retry(…)`.
    #[must_use]
    pub const fn retry(mut self, retry: RetrySettings) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Whether the name is a regular expression.
    #[must_use]
    pub const fn is_regex(&self) -> bool {
        matches!(self.name.as_bytes().first(), Some(b'^'))
    }
}

/// Whether a retry holds its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryMode {
    /// The partition waits in place.
    Blocking,
    /// The message goes to a retry topic.
    NonBlocking,
}

/// An error type that `include(…)` or `exclude(…)` names.
#[derive(Clone, Copy)]
pub struct ErrorType {
    /// As written.
    pub name: &'static str,
    matches: fn(&(dyn Error + 'static)) -> bool,
}

impl ErrorType {
    /// The type `E`.
    #[must_use]
    pub const fn of<E: NameableError>(name: &'static str) -> Self {
        Self { name, matches: is::<E> }
    }

    /// Whether this very error (not its sources) is of the type.
    #[must_use]
    pub fn matches(&self, error: &(dyn Error + 'static)) -> bool {
        (self.matches)(error)
    }
}

/// What `include(…)` and `exclude(…)` can name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error type",
    label = "`include` and `exclude` name types that implement `std::error::Error`",
    note = "name the type that the handler's `?` converts from, or decide with `include_if = path`"
)]
pub trait NameableError: Error + 'static {}
#[diagnostic::do_not_recommend]
impl<E: Error + 'static> NameableError for E {}

fn is<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    error.is::<E>()
}

impl std::fmt::Debug for ErrorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// `retry(…)`: how often, when and for what a failed message is tried again.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RetrySettings {
    /// How many retries after the first attempt; -1 for ever.
    pub max_retries: i32,
    /// Before the first retry, and before each without `backoff`. Milliseconds, above 0.
    pub delay_ms: u64,
    /// Caps the delay. Milliseconds.
    pub delay_ms_max: Option<u64>,
    /// Doubles the delay with each attempt.
    pub backoff: bool,
    /// Spreads the delay over 50 to 100 % of itself.
    pub jitter: bool,
    /// Retry only these errors. Empty: all.
    pub include: &'static [ErrorType],
    /// Retry all but these errors.
    pub exclude: &'static [ErrorType],
    /// Retry only what this function says, asked of the error and each of its sources.
    pub include_if: Option<fn(&(dyn Error + 'static)) -> bool>,
    /// Whether the partition waits.
    pub mode: RetryMode,
    /// Log every Nth retry; `None`: no retry is logged.
    pub log_every: Option<u32>,
    /// Skip superseded messages by the key offset tracker.
    pub use_offset_tracker: bool,
}

impl RetrySettings {
    /// The delay where none is said: 10 seconds.
    pub const DELAY_MS_DEFAULT: u64 = 10_000;

    /// Blocking retries without backoff.
    #[must_use]
    pub const fn new(max_retries: i32) -> Self {
        Self {
            max_retries,
            delay_ms: Self::DELAY_MS_DEFAULT,
            delay_ms_max: None,
            backoff: false,
            jitter: false,
            include: &[],
            exclude: &[],
            include_if: None,
            mode: RetryMode::Blocking,
            log_every: None,
            use_offset_tracker: false,
        }
    }

    /// Sets `delay`.
    #[must_use]
    pub const fn delay_ms(mut self, ms: u64) -> Self {
        self.delay_ms = ms;
        self
    }

    /// Sets `max_delay`.
    #[must_use]
    pub const fn delay_ms_max(mut self, ms: u64) -> Self {
        self.delay_ms_max = Some(ms);
        self
    }

    /// Sets `backoff`.
    #[must_use]
    pub const fn backoff(mut self, on: bool) -> Self {
        self.backoff = on;
        self
    }

    /// Sets `jitter`.
    #[must_use]
    pub const fn jitter(mut self, on: bool) -> Self {
        self.jitter = on;
        self
    }

    /// Sets `include(…)`.
    #[must_use]
    pub const fn include(mut self, types: &'static [ErrorType]) -> Self {
        self.include = types;
        self
    }

    /// Sets `exclude(…)`.
    #[must_use]
    pub const fn exclude(mut self, types: &'static [ErrorType]) -> Self {
        self.exclude = types;
        self
    }

    /// Sets `include_if`.
    #[must_use]
    pub const fn include_if(mut self, function: fn(&(dyn Error + 'static)) -> bool) -> Self {
        self.include_if = Some(function);
        self
    }

    /// Sets `blocking`.
    #[must_use]
    pub const fn blocking(mut self, blocking: bool) -> Self {
        self.mode = if blocking { RetryMode::Blocking } else { RetryMode::NonBlocking };
        self
    }

    /// Sets `log_every`.
    #[must_use]
    pub const fn log_every(mut self, n: u32) -> Self {
        self.log_every = Some(n);
        self
    }

    /// Sets `use_offset_tracker`.
    #[must_use]
    pub const fn use_offset_tracker(mut self, on: bool) -> Self {
        self.use_offset_tracker = on;
        self
    }

    /// From a message's first failure to its last retry, at most, were each attempt to take no time.
    #[must_use]
    pub fn horizon(&self) -> Duration {
        let last = u32::try_from(self.max_retries).unwrap_or(0);
        (1..=last).fold(Duration::ZERO, |sum, attempt| sum.saturating_add(self.delay_before(attempt)))
    }

    /// The delay before attempt `attempt` (1 = the first retry), before jitter.
    #[must_use]
    pub fn delay_before(&self, attempt: u32) -> Duration {
        let factor = if self.backoff { 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX) } else { 1 };
        let ms = self.delay_ms.saturating_mul(factor);
        Duration::from_millis(self.delay_ms_max.map_or(ms, |max| ms.min(max)))
    }
}
