//! How a command ends.

use std::io::Write as _;
use std::process::ExitCode;

/// What the shell is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done: 0.
    Done,
    /// It did not work: 1.
    Failed,
    /// Wrong use, wrong settings or wrong declarations: 2. Trying again changes nothing.
    WrongUse,
    /// Ended by a second signal before the work under way was finished: 3.
    Forced,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::WrongUse => 2,
            Self::Forced => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// With the remedy. May have several lines.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Writes it to standard error, in clap's form.
    pub(super) fn report(self) -> ExitCode {
        let _ = writeln!(std::io::stderr().lock(), "error: {}", self.message.trim_end());
        self.exit.into()
    }
}
