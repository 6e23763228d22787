//! Why an application did not start, or did not end well.

use std::process::ExitCode;

use crate::cli::{Exit, Finding};
use crate::settings::SettingsErrors;

/// Why an application did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsErrors),
    /// The declarations are wrong, alone or together with the settings.
    #[error("{}", list("the declarations are not right", .0))]
    Declarations(Vec<String>),
    /// What connectors are to be sent with is not known: variables or settings that are not set.
    #[error("{}", list("the connectors' configurations are not complete; nothing was sent", .0))]
    Connectors(Vec<String>),
    /// A consumer was asked for that there is not.
    #[error("{0}")]
    UnknownConsumer(String),
    /// What was asked for makes no sense with these settings.
    #[error("{0}")]
    WrongUse(String),
    /// The broker cannot be reached or used.
    #[error("{0}")]
    Broker(String),
    /// The database cannot be reached or used.
    #[error("{0}")]
    Database(String),
    /// Tables or columns are not as the models need them.
    #[error("{}", list("the database's tables are not as the models need them", .0))]
    Tables(Vec<String>),
    /// The schema registry cannot be used, or does not take what is declared.
    #[error("{0}")]
    SchemaRegistry(String),
    /// Temporal cannot be used.
    #[error("{0}")]
    Temporal(String),
    /// The process has no more of something.
    #[error("{0}")]
    System(String),
}

impl StartError {
    /// 2 for wrong use or settings, 1 for everything else.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        self.exit().into()
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Settings(_)
            | Self::Declarations(_)
            | Self::Connectors(_)
            | Self::UnknownConsumer(_)
            | Self::WrongUse(_) => Exit::WrongUse,
            _ => Exit::Failed,
        }
    }

    /// As a line of `check`.
    pub(crate) fn finding(&self) -> Finding {
        Finding::Failed { exit: self.exit(), message: self.to_string() }
    }
}

fn list(what: &str, items: &[String]) -> String {
    let mut text = format!("{what}:");
    for item in items {
        text.push_str("\n  - ");
        text.push_str(item);
    }
    text
}

/// Why a running application ended before it was asked to, or not in order.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A Kafka client is of no more use. What was done until then is committed.
    #[error("consumer `{consumer}` ended: {message}")]
    Fatal {
        /// The consumer.
        consumer: String,
        /// librdkafka's words.
        message: String,
    },
    /// The producer is of no more use. What was done until then is committed.
    #[error("the producer ended: {message}")]
    Producer {
        /// librdkafka's words.
        message: String,
    },
    /// Batches did not end within `shutdown_timeout`. Their messages will be read again.
    #[error(
        "consumer `{consumer}`: {batches} batches did not end within `shutdown_timeout`; their messages will be read \
         again"
    )]
    Abandoned {
        /// The consumer.
        consumer: String,
        /// How many.
        batches: usize,
    },
}
