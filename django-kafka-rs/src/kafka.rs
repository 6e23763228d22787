//! What all our Kafka clients share: where their errors and log lines go, and a way back to brokers that were away.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::Counter;
use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, ClientContext};

use crate::meters::{Meters, catalog};

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
    way_back: Option<Arc<WayBack>>,
    meters: Meters,
    errors: Counter,
}

impl ClientEvents {
    pub(crate) fn new(client: &str, handler: Option<ErrorHandler>) -> Self {
        Self { client: client.into(), handler, way_back: None, meters: Meters::default(), errors: Counter::noop() }
    }

    /// Counts errors, and lets whoever has the client count what is its own.
    pub(crate) fn counting(self, meters: &Meters) -> Self {
        let errors = meters.counter(&catalog::CLIENT_ERRORS, &[&self.client]);
        Self { meters: meters.clone(), errors, ..self }
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// For a client of this configuration, which finds back to its brokers.
    pub(crate) fn finding_back(self, config: &ClientConfig) -> Self {
        let servers = config.get("bootstrap.servers").or_else(|| config.get("metadata.broker.list"));
        let servers = servers.and_then(|servers| CString::new(servers).ok());
        Self { way_back: servers.map(|servers| Arc::new(WayBack::new(servers))), ..self }
    }

    /// Tells the client its brokers again, where it has lost all of them and time is up. To be called now and then.
    pub(crate) fn find_back<C: ClientContext>(&self, client: &Client<C>) {
        let Some(way_back) = self.way_back.as_ref().filter(|way_back| way_back.is_due(Instant::now())) else { return };
        tracing::debug!(client = &*self.client, "all brokers were away: tried again from `bootstrap.servers`");
        // SAFETY: the client lives through the call, which copies the text.
        #[expect(unsafe_code, reason = "librdkafka's call has no safe wrapper")]
        unsafe {
            rdkafka::bindings::rd_kafka_brokers_add(client.native_ptr(), way_back.servers.as_ptr());
        }
    }

    /// Logs the error and hands it to the user's handler.
    pub(crate) fn report(&self, error: &KafkaError, reason: &str) -> ClientError {
        self.errors.increment(1);
        let is_fatal = matches!(
            error,
            KafkaError::MessageConsumptionFatal(_) | KafkaError::Global(rdkafka::error::RDKafkaErrorCode::Fatal)
        );
        if let (Some(way_back), Some(RDKafkaErrorCode::AllBrokersDown)) = (&self.way_back, error.rdkafka_error_code()) {
            way_back.begin(Instant::now());
        }
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

/// When a client that has lost all brokers is told of them again.
///
/// librdkafka (2.10 to 2.13, its issue 5301) forgets every broker, those it was configured with too, and never connects
/// again, where a broker that is not ready yet answers that there is none: one that stood still long enough to be
/// fenced by its controller does so. Telling it once more what it knows already does no harm.
#[derive(Debug)]
struct WayBack {
    servers: CString,
    /// Whether there is a `next`, for who asks often.
    is_open: AtomicBool,
    /// When, and how long after it the time after that.
    next: Mutex<Option<(Instant, Duration)>>,
}

impl WayBack {
    const WAIT_MIN: Duration = Duration::from_secs(5);
    /// It ends here, twenty minutes after the last of the brokers was lost: librdkafka keeps a note of each time.
    const WAIT_MAX: Duration = Duration::from_secs(640);

    fn new(servers: CString) -> Self {
        Self { servers, is_open: AtomicBool::new(false), next: Mutex::new(None) }
    }

    /// All brokers are lost, or all that were found again.
    fn begin(&self, now: Instant) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // Said again and again while they are away.
        if next.is_none_or(|(_, wait)| wait > 4 * Self::WAIT_MIN) {
            *next = Some((now + Self::WAIT_MIN, Self::WAIT_MIN));
            self.is_open.store(true, Ordering::Release);
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        if !self.is_open.load(Ordering::Acquire) {
            return false;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, wait)) = next.filter(|(at, _)| *at <= now) else { return false };
        let wait = wait * 2;
        *next = (wait <= Self::WAIT_MAX).then_some((now + wait, wait));
        self.is_open.store(next.is_some(), Ordering::Release);
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_lost_its_brokers_is_told_of_them_for_twenty_minutes() {
        let way_back = WayBack::new(CString::from(c"host:9092"));
        let start = Instant::now();
        let mut told = vec![];
        let mut look = |way_back: &WayBack, seconds: std::ops::Range<u64>| {
            told.clear();
            told.extend(seconds.filter(|second| way_back.is_due(start + Duration::from_secs(*second))));
            told.clone()
        };
        assert!(look(&way_back, 0..1_000).is_empty(), "nothing is lost");
        way_back.begin(start);
        way_back.begin(start + Duration::from_secs(1));
        assert_eq!(look(&way_back, 0..2_000), [5, 15, 35, 75, 155, 315, 635, 1_275]);
        way_back.begin(start + Duration::from_secs(2_000));
        assert_eq!(look(&way_back, 2_000..2_100), [2_005, 2_015, 2_035, 2_075]);
        way_back.begin(start + Duration::from_secs(2_100));
        assert_eq!(look(&way_back, 2_100..2_110), [2_105], "lost once more");
    }
}
