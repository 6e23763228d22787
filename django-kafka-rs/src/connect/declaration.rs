//! What `#[connector]` says, as constants.

use super::config::{ConfigError, ConnectorConfig};
use crate::consumer::ConfigValue;
use crate::topic::Location;

/// A declared connector. Written by `#[connector(…)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a connector",
    note = "write `#[connector(config(\"connector.class\" = \"…\"))]` above `struct {Self};`"
)]
pub trait Connector: Send + Sync + 'static {
    /// What was declared.
    const DECLARATION: ConnectorDeclaration;
}

/// A connector as declared.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ConnectorDeclaration {
    /// The Rust type's name; `connect NAME` takes it.
    pub type_name: &'static str,
    /// `name`, with `${variables}`. `None`: the type's name.
    pub name: Option<&'static str>,
    /// `config`.
    pub config: ConnectorSource,
    /// `mark_for_removal`.
    pub mark_for_removal: bool,
    /// Where.
    pub location: Location,
}

/// Where a connector's configuration comes from.
#[derive(Debug, Clone, Copy)]
pub enum ConnectorSource {
    /// `config("key" = value, …)`.
    Pairs(&'static [(&'static str, ConfigValue)]),
    /// `config = path`: a function that makes it.
    Function(fn() -> Result<ConnectorConfig, ConfigError>),
}

impl ConnectorDeclaration {
    /// A connector without a configuration.
    #[must_use]
    pub const fn new(type_name: &'static str, location: Location) -> Self {
        Self { type_name, name: None, config: ConnectorSource::Pairs(&[]), mark_for_removal: false, location }
    }

    /// Sets `name`.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Sets `config(…)`.
    #[must_use]
    pub const fn config(mut self, pairs: &'static [(&'static str, ConfigValue)]) -> Self {
        self.config = ConnectorSource::Pairs(pairs);
        self
    }

    /// Sets `config = path`.
    #[must_use]
    pub const fn config_of(mut self, function: fn() -> Result<ConnectorConfig, ConfigError>) -> Self {
        self.config = ConnectorSource::Function(function);
        self
    }

    /// Sets `mark_for_removal`.
    #[must_use]
    pub const fn mark_for_removal(mut self) -> Self {
        self.mark_for_removal = true;
        self
    }

    /// The configuration, with what is known only at start still open.
    ///
    /// # Errors
    /// What the function of `config = path` gave.
    pub fn configuration(&self) -> Result<ConnectorConfig, ConfigError> {
        match self.config {
            ConnectorSource::Pairs(pairs) => Ok(pairs.iter().map(|(key, value)| (*key, *value)).collect()),
            ConnectorSource::Function(function) => function(),
        }
    }
}
