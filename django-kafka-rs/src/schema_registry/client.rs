//! Asking the registry: what it answers, and whose fault it is where it does not.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::Counter;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_referenced_schema, get_schema_by_id, get_schema_by_subject_and_version, perform_sr_call,
    post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RawError, RegisteredReference, RegisteredSchema, SchemaType, SrCall, SuppliedSchema,
};

use super::SchemaError;
use super::compatibility::Asker;
use crate::meters::{Meters, catalog};
use crate::settings::{SchemaRegistrySettings, mask};

/// Schemas that one schema refers to at most, directly and through others.
const REFERENCES_MAX: usize = 1000;

/// How long connecting to one of the registry's addresses may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A schema as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registered {
    pub(super) id: u32,
    pub(super) text: String,
    /// What it refers to, before what refers to it.
    pub(super) references: Vec<String>,
}

/// Asks one address after the other until one answers: the library's own way would take the last one's silence for the
/// answer where an earlier one has said that there is no such schema.
///
/// It is no function, because the compiler does not see yet that the futures of an `AsyncFn` are `Send`.
macro_rules! ask {
    ($client:ident, $at:ident => $question:expr, $wrong:expr) => {{
        let mut answer = Err(SchemaError::Away("no address is set".to_owned()));
        for $at in &$client.addresses {
            answer = match $question.await {
                Ok(found) => Ok(found),
                Err(error) => Err($client.error(&error, || $wrong(&error))),
            };
            $client.count(&answer);
            if !matches!(answer, Err(SchemaError::Away(_))) {
                break;
            }
        }
        answer
    }};
}

/// The registry's HTTP interface.
#[derive(Debug)]
pub(super) struct Client {
    /// One for each address, in their order.
    addresses: Vec<SrSettings>,
    asker: Asker,
    /// For errors, without credentials.
    address: String,
    requests: OnceLock<Requests>,
}

/// Counts of answers.
#[derive(Debug)]
pub(super) struct Requests {
    ok: Counter,
    refused: Counter,
    away: Counter,
}

impl Requests {
    pub(super) fn new(meters: &Meters) -> Self {
        let of = |outcome| meters.counter(&catalog::REGISTRY_REQUESTS, &[outcome]);
        Self { ok: of("ok"), refused: of("refused"), away: of("away") }
    }
}

impl Client {
    /// # Errors
    /// The settings name no address, or an address or a certificate cannot be used.
    pub(super) fn new(settings: &SchemaRegistrySettings) -> Result<Self, String> {
        let urls: Vec<&str> = settings.urls.iter().map(|url| url.trim().trim_end_matches('/')).collect();
        if urls.is_empty() {
            return Err("no address is set".to_owned());
        }
        let http = || {
            let http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT.min(settings.timeout));
            super::tls::configure(http.timeout(settings.timeout), settings)
        };
        let own = http()?.build().map_err(|error| error.to_string())?;
        let asker = Asker::new(own, &urls, settings);
        let address = mask("url", &urls.join(", "));
        let at = |url: &&str| {
            check_url(url)?;
            let mut builder = SrSettings::new_builder((*url).to_owned());
            if let Some((user, password)) = settings.credentials() {
                builder.set_basic_authorization(user, Some(password));
            }
            if let Some(token) = &settings.bearer_auth_token {
                builder.set_token_authorization(token);
            }
            builder.set_timeout(settings.timeout);
            builder.build_with(http()?).map_err(|error| cause(&error))
        };
        let addresses = urls.iter().map(at).collect::<Result<_, _>>()?;
        Ok(Self { addresses, asker, address, requests: OnceLock::new() })
    }

    /// Counts answers from now on.
    pub(super) fn counting(&self, requests: Requests) {
        // Called once: there is nothing to replace.
        let _ = self.requests.set(requests);
    }

    fn count<T>(&self, answer: &Result<T, SchemaError>) {
        let Some(requests) = self.requests.get() else { return };
        let counter = match answer {
            Ok(_) => &requests.ok,
            Err(SchemaError::Away(_)) => &requests.away,
            Err(_) => &requests.refused,
        };
        counter.increment(1);
    }

    /// The addresses, without credentials.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The schema of this id.
    pub(super) async fn by_id(&self, id: u32) -> Result<Registered, SchemaError> {
        let wrong = |_: &SRCError| format!("the schema registry at {} has no schema with the id {id}", self.address);
        let found = ask!(self, at => get_schema_by_id(id, at), wrong)?;
        self.complete(found, &format!("the schema {id}")).await
    }

    /// The latest schema of a subject.
    pub(super) async fn latest(&self, subject: &str) -> Result<Registered, SchemaError> {
        let wrong = |_: &SRCError| {
            format!(
                "the schema registry at {} has no schema for the subject `{subject}`; register one, or declare it \
                 with `{}_schema = \"file.avsc\"` in `#[topic(…)]`",
                self.address,
                part_of(subject)
            )
        };
        let found = ask!(self, at => get_schema_by_subject_and_version(at, subject, None), wrong)?;
        self.complete(found, &format!("the latest schema of `{subject}`")).await
    }

    /// Registers a schema under a subject, where it is not there already; gives its id.
    pub(super) async fn register(&self, subject: &str, text: &str) -> Result<u32, SchemaError> {
        let wrong = |error: &SRCError| {
            format!(
                "the schema registry at {} does not take the schema for `{subject}`: {}",
                self.address,
                cause(error)
            )
        };
        let supplied = || SuppliedSchema::new(None, SchemaType::Avro, text.to_owned());
        Ok(ask!(self, at => post_schema(at, subject.to_owned(), supplied()), wrong)?.id)
    }

    /// The id of a schema that is registered under a subject.
    pub(super) async fn find(&self, subject: &str, text: &str) -> Result<u32, SchemaError> {
        let body = serde_json::json!({ "schema": text, "schemaType": "AVRO" }).to_string();
        let wrong = |error: &SRCError| {
            format!(
                "the declared schema is not registered for the subject `{subject}` at {}, and \
                 `schema_registry.auto_register_schemas` is false; register it first ({})",
                self.address,
                cause(error)
            )
        };
        let found = ask!(self, at => perform_sr_call(at, SrCall::PostForVersion(subject, &body)), wrong)?;
        found.id.ok_or_else(|| SchemaError::Wrong(format!("the schema registry gave no id for `{subject}`")))
    }

    /// Whether the registry would take a schema as a subject's next; `None` where the subject has none yet.
    pub(super) async fn is_compatible(&self, subject: &str, text: &str) -> Result<Option<bool>, SchemaError> {
        self.asker.is_compatible(subject, text).await
    }

    /// A schema with what it refers to.
    async fn complete(&self, found: RegisteredSchema, what: &str) -> Result<Registered, SchemaError> {
        if found.schema_type != SchemaType::Avro {
            let kind = format!("{:?}", found.schema_type);
            return Err(SchemaError::Wrong(format!("{what} in the schema registry is {kind}, not Avro")));
        }
        let mut texts: Vec<String> = Vec::new();
        let mut seen: Vec<(String, u32)> = Vec::new();
        // Depth first, so that what is referred to is there before what refers to it.
        let mut open: Vec<Step> = found.references.into_iter().rev().map(Step::Fetch).collect();
        while let Some(step) = open.pop() {
            match step {
                Step::Done(text) => texts.push(text),
                Step::Fetch(reference) => {
                    let name = (reference.subject.clone(), reference.version);
                    if seen.contains(&name) {
                        continue;
                    }
                    if seen.len() >= REFERENCES_MAX {
                        return Err(SchemaError::Wrong(format!("{what} refers to more than {REFERENCES_MAX} others")));
                    }
                    let gone =
                        |_: &SRCError| format!("{what} refers to version {} of `{}`, which is gone", name.1, name.0);
                    let fetched = ask!(self, at => get_referenced_schema(at, &reference), gone)?;
                    seen.push(name);
                    open.push(Step::Done(fetched.schema));
                    open.extend(fetched.references.into_iter().rev().map(Step::Fetch));
                }
            }
        }
        Ok(Registered { id: found.id, text: found.schema, references: texts })
    }

    /// Whose fault it is; `wrong` says it where the registry itself has answered.
    fn error(&self, error: &SRCError, wrong: impl FnOnce() -> String) -> SchemaError {
        let away = |why: String| SchemaError::Away(format!("the schema registry at {} {why}", self.address));
        if error.retriable {
            return away(format!("does not answer: {}", cause(error)));
        }
        let code = raw(error).map_or(0, |raw| raw.error_code);
        match status(error) {
            Some(401 | 403) => away(format!("refuses the credentials: {}", cause(error))),
            // Not the registry's own answer: another service, or a wrong path.
            Some(404) if code == 0 => {
                away("answers 404, but not as a registry does; is the path in the address right?".to_owned())
            }
            Some(400..=428 | 430..=499) => SchemaError::Wrong(wrong()),
            Some(status) => away(format!("answers {status}: {}", cause(error))),
            None => away(format!("gives no answer that can be read: {}", cause(error))),
        }
    }
}

enum Step {
    Fetch(RegisteredReference),
    Done(String),
}

fn check_url(url: &str) -> Result<(), String> {
    if url.starts_with("http://") || (url.starts_with("https://") && cfg!(feature = "https")) {
        return Ok(());
    }
    if url.starts_with("https://") {
        return Err(
            "`https` needs TLS, which this build does not have: enable the feature `https` of `django-kafka-rs`"
                .to_owned(),
        );
    }
    Err(format!("expected an address like http://registry:8081, found {:?}", mask("url", url)))
}

fn part_of(subject: &str) -> &str {
    subject.rsplit('-').next().unwrap_or("value")
}

/// The registry's own answer.
fn raw(error: &SRCError) -> Option<&RawError> {
    std::error::Error::source(error)?.downcast_ref()
}

/// The answer's status, which the library only tells in its text.
fn status(error: &SRCError) -> Option<u16> {
    let (_, after) = error.error.split_once("failed with status ")?;
    after.get(..3)?.parse().ok()
}

/// What the library says of the cause, with the causes below it.
fn cause(error: &SRCError) -> String {
    if let Some(raw) = raw(error) {
        return format!("{} (error {})", raw.message, raw.error_code);
    }
    std::error::Error::source(error).map_or_else(|| error.error.clone(), with_causes)
}

/// An error with the causes below it, without credentials: "error sending request" alone helps nobody.
pub(super) fn with_causes(mut error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    while let Some(next) = error.source() {
        let said = next.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        error = next;
    }
    mask("url", &text)
}
