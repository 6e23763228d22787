//! What all our Kafka clients share: where their errors and log lines go.

use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

/// An error of a Kafka client as a whole, not of one message: brokers away, authentication refused, …
///
/// librdkafka goes on by itself after all of them but the fatal ones.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientError {
    /// Which client: `producer`, or the consumer's name.
    pub client: Arc<str>,
    /// librdkafka's words.
    pub message: String,
    /// Whether the client can no longer be used. The process drains and ends.
    pub is_fatal: bool,
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fatal = if self.is_fatal { "fatal: " } else { "" };
        write!(f, "{}: {fatal}{}", self.client, self.message)
    }
}

impl std::error::Error for ClientError {}

/// The user's own handler of client errors, called beside the log line.
pub(crate) type ErrorHandler = Arc<dyn Fn(&ClientError) + Send + Sync>;

/// Receives what librdkafka has to say of one client.
#[derive(Clone)]
pub(crate) struct ClientEvents {
    client: Arc<str>,
    handler: Option<ErrorHandler>,
}

impl ClientEvents {
    pub(crate) fn new(client: &str, handler: Option<ErrorHandler>) -> Self {
        Self { client: client.into(), handler }
    }

    /// Logs the error and hands it to the user's handler.
    pub(crate) fn report(&self, error: &KafkaError, reason: &str) -> ClientError {
        let is_fatal = matches!(
            error,
            KafkaError::MessageConsumptionFatal(_) | KafkaError::Global(rdkafka::error::RDKafkaErrorCode::Fatal)
        );
        let message = if reason.is_empty() { error.to_string() } else { format!("{error}: {reason}") };
        let error = ClientError { client: self.client.clone(), message, is_fatal };
        if is_fatal {
            tracing::error!(client = %error.client, "{}", error.message);
        } else {
            tracing::warn!(client = %error.client, "{}", error.message);
        }
        if let Some(handler) = &self.handler {
            handler(&error);
        }
        error
    }
}

impl ClientContext for ClientEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let client = &*self.client;
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "librdkafka", client, facility, "{message}");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", client, facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", client, facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", client, facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.report(&error, reason);
    }
}
