//! Kafka Connect's REST interface.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::{Plugin, Server, Status, Validation};
use super::retry::{CONFLICT, Repetitions, Trouble};
use crate::settings::{ConnectAuth, ConnectRetry, Settings, mask};

/// Bytes of an answer at most: a connector's validation has a few hundred KiB.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Characters of a text that is not Kafka Connect's, in messages.
const FOREIGN_TEXT_MAX: usize = 200;

/// Why Kafka Connect did not do what it was asked for. With the remedy.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ConnectError {
    /// It is away, or not there.
    #[error("Kafka Connect at `{address}` cannot be reached: {why}; is it running, and is `connect_host` right?")]
    Unreachable { address: String, why: String },
    /// It took too long.
    #[error(
        "Kafka Connect at `{address}` did not answer within {}; give it more with `connect_requests_timeout`, or look at \
         its workers",
        humantime::format_duration(*.timeout)
    )]
    TimedOut { address: String, timeout: Duration },
    /// It wants to know who asks, or not this one.
    #[error("Kafka Connect at `{address}` refuses {}: set `connect_auth`, or correct it (it answered {status})",
            if *.has_login { "this login" } else { "to be asked without a login" })]
    Unauthorized { address: String, status: u16, has_login: bool },
    /// Something else answers there.
    #[error("what answers at `{address}` is not Kafka Connect ({what}); is `connect_host` right, with its path?")]
    NotConnect { address: String, what: String },
    /// It refuses; in its own words.
    #[error("Kafka Connect answers {status}: {message}")]
    Refused { status: u16, message: String },
}

impl ConnectError {
    /// Why, without where and what to do.
    fn reason(&self) -> String {
        match self {
            Self::Unreachable { why, .. } => why.clone(),
            other => other.to_string(),
        }
    }

    /// Whether the next request would fare no better.
    pub(crate) fn concerns_all(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}

/// Whether a connector was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    Created,
    Updated,
}

/// A client of one Kafka Connect.
#[derive(Debug, Clone)]
pub(crate) struct ConnectClient {
    http: reqwest::Client,
    base: Url,
    /// The base as it may be shown.
    address: String,
    auth: Option<ConnectAuth>,
    retry: ConnectRetry,
    timeout: Duration,
}

impl ConnectClient {
    /// The client that the settings describe. Nothing is connected yet.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let Some(host) = &settings.connect_host else {
            return Err(
                "no Kafka Connect is named: set `connect_host` in the settings, or DJANGO_KAFKA__CONNECT_HOST, \
                        for instance to `http://connect:8083`"
                    .to_owned(),
            );
        };
        let address = mask("connect_host", host);
        let mut base = Url::parse(host).map_err(|e| format!("`connect_host`: `{address}` is not an address: {e}"))?;
        let decoded = |text: &str| percent_decoded(text);
        let of_url = (!base.username().is_empty())
            .then(|| ConnectAuth::new(decoded(base.username()), decoded(base.password().unwrap_or_default())));
        // They go into a header, never into a message with the address.
        let cleared = base.set_username("").and_then(|()| base.set_password(None));
        cleared.map_err(|()| format!("`connect_host`: `{address}` cannot be asked"))?;
        let http = reqwest::Client::builder()
            .timeout(settings.connect_requests_timeout)
            // A redirected PUT would arrive as a GET.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("django-kafka-rs/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("the HTTP client cannot be made: {}", innermost(&error)))?;
        Ok(Self {
            http,
            base,
            address,
            auth: settings.connect_auth.clone().or(of_url),
            retry: settings.connect_retry.clone(),
            timeout: settings.connect_requests_timeout,
        })
    }

    /// The address as it may be shown.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What answers at the address.
    pub(crate) async fn server(&self) -> Result<Server, ConnectError> {
        let answer = self.ask(Method::GET, &[], None).await?;
        answer.read(self)
    }

    /// The classes of connectors that the workers have.
    pub(crate) async fn plugins(&self) -> Result<Vec<Plugin>, ConnectError> {
        let answer = self.ask(Method::GET, &["connector-plugins"], None).await?;
        answer.read(self)
    }

    /// Has a configuration checked. `config` has the connector's `name`, which Kafka Connect asks for.
    pub(crate) async fn validate(
        &self,
        class: &str,
        config: &BTreeMap<&str, &str>,
    ) -> Result<Validation, ConnectError> {
        let path = ["connector-plugins", class, "config", "validate"];
        let answer = self.ask(Method::PUT, &path, Some(config)).await?;
        answer.read(self)
    }

    /// The configuration that a connector has; `None`: there is no such connector.
    pub(crate) async fn config(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, ConnectError> {
        self.find(&["connectors", name, "config"]).await
    }

    /// Creates a connector, or gives it another configuration.
    pub(crate) async fn put_config(&self, name: &str, config: &BTreeMap<&str, &str>) -> Result<Put, ConnectError> {
        let answer = self.ask(Method::PUT, &["connectors", name, "config"], Some(config)).await?;
        let status = answer.status;
        answer.done(self)?;
        Ok(if status == StatusCode::CREATED { Put::Created } else { Put::Updated })
    }

    /// Deletes a connector; whether there was one.
    pub(crate) async fn delete(&self, name: &str) -> Result<bool, ConnectError> {
        self.order(Method::DELETE, &["connectors", name]).await
    }

    /// How a connector is; `None`: there is none, or its workers do not know of it yet.
    pub(crate) async fn status(&self, name: &str) -> Result<Option<Status>, ConnectError> {
        self.find(&["connectors", name, "status"]).await
    }

    /// Restarts a connector and its tasks, or what of them has failed; whether there is such a connector.
    pub(crate) async fn restart(&self, name: &str, only_failed: bool) -> Result<bool, ConnectError> {
        let mut url = self.url(&["connectors", name, "restart"]);
        url.query_pairs_mut()
            .append_pair("includeTasks", "true")
            .append_pair("onlyFailed", if only_failed { "true" } else { "false" });
        self.ask_url(Method::POST, url, None).await?.was_there(self)
    }

    /// Pauses a connector and its tasks; whether there is such a connector.
    pub(crate) async fn pause(&self, name: &str) -> Result<bool, ConnectError> {
        self.order(Method::PUT, &["connectors", name, "pause"]).await
    }

    /// Resumes a connector that was paused or stopped; whether there is such a connector.
    pub(crate) async fn resume(&self, name: &str) -> Result<bool, ConnectError> {
        self.order(Method::PUT, &["connectors", name, "resume"]).await
    }

    async fn find<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Option<T>, ConnectError> {
        let answer = self.ask(Method::GET, path, None).await?;
        if answer.is_unknown() { Ok(None) } else { answer.read(self).map(Some) }
    }

    async fn order(&self, method: Method, path: &[&str]) -> Result<bool, ConnectError> {
        self.ask(method, path, None).await?.was_there(self)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&BTreeMap<&str, &str>>,
    ) -> Result<Answer, ConnectError> {
        self.ask_url(method, self.url(path), body).await
    }

    /// Sends a request, again where `[connect_retry]` says so. An answer is whatever status came in the end.
    async fn ask_url(
        &self,
        method: Method,
        url: Url,
        body: Option<&BTreeMap<&str, &str>>,
    ) -> Result<Answer, ConnectError> {
        // What a PUT, a DELETE or a GET does once, it does twice.
        let repeatable = method != Method::POST;
        let mut repetitions = Repetitions::default();
        loop {
            let (trouble, outcome) = match self.send(&method, &url, body).await {
                Ok(answer) => (answer.trouble(), Ok(answer)),
                Err(error) => {
                    let trouble = if error.is_connect() { Trouble::Connect } else { Trouble::Read };
                    (trouble, Err(self.failure(&error)))
                }
            };
            let Some(wait) = repetitions.next(&self.retry, trouble, repeatable, spread()) else { return outcome };
            let why = match &outcome {
                Ok(answer) => format!("it answers {}", answer.status),
                Err(error) => error.reason(),
            };
            let path = url.path();
            tracing::warn!("Kafka Connect: {method} {path} is tried again in {wait:.1?}: {why}");
            tokio::time::sleep(wait).await;
        }
    }

    async fn send(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&BTreeMap<&str, &str>>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method.clone(), url.clone()).header("Accept", "application/json");
        if let Some(ConnectAuth { username, password }) = &self.auth {
            request = request.basic_auth(username, Some(password));
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await?;
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let retry_after = header(RETRY_AFTER).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let location = header(reqwest::header::LOCATION);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            let room = ANSWER_BYTES_MAX.saturating_sub(bytes.len());
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                break;
            }
        }
        Ok(Answer { status, retry_after, location, body: String::from_utf8_lossy(&bytes).into_owned() })
    }

    fn failure(&self, error: &reqwest::Error) -> ConnectError {
        let address = self.address.clone();
        if error.is_timeout() && !error.is_connect() {
            return ConnectError::TimedOut { address, timeout: self.timeout };
        }
        ConnectError::Unreachable { address, why: innermost(error) }
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    location: Option<String>,
    body: String,
}

/// Kafka Connect's own errors.
#[derive(Deserialize)]
struct Refusal {
    error_code: u16,
    message: String,
}

/// What its web server says of a path that it does not serve, in the same form.
const NO_SUCH_PATH: &str = "HTTP 404 Not Found";

impl Answer {
    /// What to do about the answer, where it is not the last word.
    fn trouble(&self) -> Trouble {
        // A rebalance is told by 409, but where connectors are only asked for.
        let is_rebalance =
            || self.refusal().is_some_and(|refusal| refusal.error_code == 500 && refusal.message.contains("rebalance"));
        match self.status.as_u16() {
            404 if self.is_of_a_starting_worker() => Trouble::Connect,
            500 if is_rebalance() => Trouble::Status(CONFLICT, self.retry_after),
            status => Trouble::Status(status, self.retry_after),
        }
    }

    /// A worker's web server listens before its interface is there.
    fn is_of_a_starting_worker(&self) -> bool {
        #[derive(Deserialize)]
        struct Jetty {
            status: String,
            url: String,
        }
        let jetty: Option<Jetty> = serde_json::from_str(&self.body).ok();
        self.status == StatusCode::NOT_FOUND
            && jetty.is_some_and(|jetty| jetty.status == "404" && !jetty.url.is_empty())
    }

    fn refusal(&self) -> Option<Refusal> {
        serde_json::from_str(&self.body).ok()
    }

    /// Kafka Connect's own "there is no such connector".
    fn is_unknown(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
            && self.refusal().is_some_and(|refusal| refusal.error_code == 404 && refusal.message != NO_SUCH_PATH)
    }

    fn was_there(self, client: &ConnectClient) -> Result<bool, ConnectError> {
        if self.is_unknown() { Ok(false) } else { self.done(client).map(|()| true) }
    }

    fn done(self, client: &ConnectClient) -> Result<(), ConnectError> {
        if self.status.is_success() { Ok(()) } else { Err(self.error(client)) }
    }

    fn read<T: DeserializeOwned>(self, client: &ConnectClient) -> Result<T, ConnectError> {
        if !self.status.is_success() {
            return Err(self.error(client));
        }
        serde_json::from_str(&self.body).map_err(|error| ConnectError::NotConnect {
            address: client.address.clone(),
            what: format!("its answer is not as expected: {error}"),
        })
    }

    fn error(self, client: &ConnectClient) -> ConnectError {
        let (status, address) = (self.status.as_u16(), client.address.clone());
        if matches!(status, 401 | 403) {
            return ConnectError::Unauthorized { address, status, has_login: client.auth.is_some() };
        }
        match self.refusal() {
            Some(Refusal { message, .. }) if message != NO_SUCH_PATH => ConnectError::Refused { status, message },
            _ if self.is_of_a_starting_worker() => {
                ConnectError::Unreachable { address, why: "its worker is starting".to_owned() }
            }
            _ if self.status.is_redirection() => {
                let to = self.location.map(|place| format!(" to `{}`", mask("", &place))).unwrap_or_default();
                ConnectError::NotConnect { address, what: format!("it answers {status}, a redirect{to}") }
            }
            // Of a gateway before it, most likely.
            _ if self.status.is_server_error() => {
                ConnectError::Unreachable { address, why: format!("it answers {}", self.status) }
            }
            _ => {
                let text: String = self.body.split_whitespace().collect::<Vec<_>>().join(" ");
                let text: String = text.chars().take(FOREIGN_TEXT_MAX).collect();
                ConnectError::NotConnect { address, what: format!("it answers {status} with {text:?}") }
            }
        }
    }
}

/// The last reason of an error, which is the first cause: reqwest's own text says only that something failed.
fn innermost(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

/// From 0 to 1, by chance.
fn spread() -> f64 {
    // Each has keys of its own.
    (RandomState::new().hash_one(()) >> 11) as f64 / (1_u64 << 53) as f64
}

/// `%40` as `@`.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
