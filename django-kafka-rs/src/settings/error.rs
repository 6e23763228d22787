//! What can be wrong with settings, and where.

use std::fmt;
use std::sync::Arc;

/// Where a setting's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The settings file.
    File {
        /// As it was named.
        name: Arc<str>,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Environment(Arc<str>),
    /// The program's own code: a field of [`Settings`](super::Settings), or a declaration's `file:line`.
    Program(Option<Arc<str>>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Program(None) => f.write_str("the program"),
            Self::Program(Some(place)) => f.write_str(place),
        }
    }
}

/// One mistake: where, which key, what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsMistake {
    pub(super) source: Source,
    pub(super) key: Option<String>,
    pub(super) message: String,
}

impl SettingsMistake {
    pub(super) fn new(source: &Source, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { source: source.clone(), key: Some(key.into()), message: message.into() }
    }

    pub(super) fn without_key(source: Source, message: impl Into<String>) -> Self {
        Self { source, key: None, message: message.into() }
    }

    /// The key, with dots between its levels; none where the file as a whole is at fault.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Where the mistake was made.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }
}

impl fmt::Display for SettingsMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source != Source::Default {
            write!(f, "{}: ", self.source)?;
        }
        match &self.key {
            Some(key) => write!(f, "`{key}`: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// All mistakes in the settings, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsErrors {
    mistakes: Vec<SettingsMistake>,
}

impl SettingsErrors {
    /// `Err` where there are mistakes.
    pub(super) fn check(mistakes: Vec<SettingsMistake>) -> Result<(), Self> {
        if mistakes.is_empty() { Ok(()) } else { Err(Self { mistakes }) }
    }

    /// The mistakes, in the order in which they were met.
    #[must_use]
    pub fn mistakes(&self) -> &[SettingsMistake] {
        &self.mistakes
    }
}

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.mistakes.as_slice() {
            return write!(f, "{only}");
        }
        write!(f, "{} mistakes in the settings:", self.mistakes.len())?;
        self.mistakes.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for SettingsErrors {}
