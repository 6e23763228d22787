//! Kafka Connect: where it is, who asks, and how often.

use std::fmt;
use std::time::Duration;

use super::Settings;
use super::document::{Node, Raw};
use super::section::{Findings, Section};
use super::values::{duration, integer, positive_duration, scalar, show_duration, text};
use crate::topic::names;

/// `connect_auth`: basic authentication. Its `Debug` form shows no password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectAuth {
    /// Who asks.
    pub username: String,
    /// Their secret. May be empty.
    pub password: String,
}

impl ConnectAuth {
    /// A name and its password.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into() }
    }
}

impl fmt::Debug for ConnectAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectAuth").field("username", &self.username).finish_non_exhaustive()
    }
}

/// `[connect_retry]`: how often a request is repeated, for each reason.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConnectRetry {
    /// Repetitions where no connection came about, 0 to 100. Default: 5.
    pub connect: u32,
    /// Repetitions where the answer did not come, or not in time, 0 to 100. Default: 5.
    pub read: u32,
    /// Repetitions because of the answer's status, 0 to 100. Default: 5.
    pub status: u32,
    /// The wait before the first repetition; it doubles with each. Default: 0.5 seconds.
    pub backoff_factor: Duration,
    /// The longest wait. Default: 2 minutes.
    pub backoff_max: Duration,
    /// The statuses that mean "not now". 409, a rebalance of the workers, always does. Default: 502, 503 and 504.
    pub status_forcelist: Vec<u16>,
}

impl Default for ConnectRetry {
    fn default() -> Self {
        Self {
            connect: 5,
            read: 5,
            status: 5,
            backoff_factor: Duration::from_millis(500),
            backoff_max: Duration::from_mins(2),
            status_forcelist: vec![502, 503, 504],
        }
    }
}

/// Reads the keys, which stand at the top.
pub(super) fn read(top: &mut Section, settings: &mut Settings, findings: &mut Findings) {
    settings.connect_host = host(top, findings);
    settings.connect_auth = auth(top, findings);
    if let Some(section) = top.section("connect_retry", findings) {
        retry(section, &mut settings.connect_retry, findings);
    }
    top.set("connect_requests_timeout", &mut settings.connect_requests_timeout, findings, positive_duration);
    top.set("connector_name_prefix", &mut settings.connector_name_prefix, findings, prefix);
    if let (Some(host), Some(_)) = (&settings.connect_host, &settings.connect_auth)
        && host.split_once("://").is_some_and(|(_, rest)| rest.split('/').next().unwrap_or(rest).contains('@'))
    {
        findings.mistake_at("connect_host", "has a user name, and `connect_auth` has one too: take it out here");
    }
}

/// The address; one that is not understood is not shown, where it may have a password in it.
fn host(top: &mut Section, findings: &mut Findings) -> Option<String> {
    const KEY: &str = "connect_host";
    let node = top.take(KEY)?;
    findings.sources.insert(KEY.to_owned(), node.source.clone());
    let expected = match address(&node) {
        Ok(address) => return Some(address),
        Err(expected) => expected,
    };
    let has_login = matches!(&node.raw, Raw::Text(text) if text.contains('@') && !text.contains("://"));
    let found = node.raw.found(has_login);
    findings.mistake(&node.source, KEY, format!("expected {expected}, found {found}"));
    None
}

/// `http://host:8083`, with a path where Kafka Connect stands behind one.
fn address(node: &Node) -> Result<String, String> {
    let expected = || "an address such as \"http://connect:8083\"".to_owned();
    let address = text(node).map_err(|_| expected())?;
    let address = address.trim();
    match address.split_once("://") {
        Some(("https", rest)) if !cfg!(feature = "https") && !rest.is_empty() => {
            Err("an `http://` address, since this program is built without the feature `https` of django-kafka-rs"
                .to_owned())
        }
        Some(("http" | "https", rest)) if !rest.is_empty() && !rest.contains(['?', '#', ' ']) => {
            Ok(address.trim_end_matches('/').to_owned())
        }
        _ => Err(expected()),
    }
}

/// Behind it come a dot and the connector's name.
fn prefix(node: &Node) -> Result<String, String> {
    let prefix = scalar(node)?;
    match names::validate_group(&prefix) {
        Err(why) if !prefix.is_empty() => Err(format!("the beginning of a name ({why})")),
        _ => Ok(prefix),
    }
}

/// `["name", "password"]` as in the original, a table, or in the environment `name:password`.
fn auth(top: &mut Section, findings: &mut Findings) -> Option<ConnectAuth> {
    const KEY: &str = "connect_auth";
    let mut node = top.take(KEY)?;
    if let Raw::Table(nodes) = &mut node.raw {
        let mut section = Section::of(KEY, node.source.clone(), std::mem::take(nodes));
        let username = section.read("username", findings, text);
        let password = section.read("password", findings, scalar);
        let (has_username, has_password) = (username.is_some(), password.is_some());
        section.finish(findings);
        if has_username != has_password {
            findings.mistake(&node.source, KEY, "needs both `username` and `password`");
        }
        return Some(ConnectAuth { username: username?, password: password? });
    }
    let pair = match &node.raw {
        Raw::List(items) => match items.as_slice() {
            [username, password] => text(username).ok().zip(scalar(password).ok()),
            _ => None,
        },
        Raw::Text(pair) => pair.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned())),
        _ => None,
    };
    for part in ["username", "password"] {
        findings.sources.insert(format!("{KEY}.{part}"), node.source.clone());
    }
    let Some((username, password)) = pair.filter(|(username, _)| !username.is_empty()) else {
        // Whatever it is, it may be a secret.
        let message = "expected a name and a password, as in `connect_auth = [\"name\", \"password\"]`";
        findings.mistake(&node.source, KEY, message);
        return None;
    };
    Some(ConnectAuth { username, password })
}

fn retry(mut section: Section, retry: &mut ConnectRetry, findings: &mut Findings) {
    section.set("connect", &mut retry.connect, findings, |node| integer(node, 0..=100));
    section.set("read", &mut retry.read, findings, |node| integer(node, 0..=100));
    section.set("status", &mut retry.status, findings, |node| integer(node, 0..=100));
    section.set("backoff_factor", &mut retry.backoff_factor, findings, duration);
    section.set("backoff_max", &mut retry.backoff_max, findings, duration);
    section.set("status_forcelist", &mut retry.status_forcelist, findings, statuses);
    section.finish(findings);
}

/// `[502, 503]`, or in the environment `502,503`.
fn statuses(node: &Node) -> Result<Vec<u16>, String> {
    let expected = || "a list of HTTP statuses, such as [502, 503, 504]".to_owned();
    let texts: Vec<String> = match &node.raw {
        Raw::List(items) => items.iter().map(scalar).collect::<Result<_, _>>().map_err(|_| expected())?,
        Raw::Text(list) => list.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        _ => return Err(expected()),
    };
    let status = |text: &String| text.parse().ok().filter(|status| (400..=599).contains(status));
    texts.iter().map(status).collect::<Option<_>>().ok_or_else(expected)
}

/// The settings as they are listed, unmasked.
pub(super) fn listing(settings: &Settings) -> Vec<(&'static str, String)> {
    let auth = settings.connect_auth.as_ref();
    let retry = &settings.connect_retry;
    let statuses: Vec<String> = retry.status_forcelist.iter().map(u16::to_string).collect();
    vec![
        ("connect_host", settings.connect_host.clone().unwrap_or_default()),
        ("connect_auth.username", auth.map(|auth| auth.username.clone()).unwrap_or_default()),
        ("connect_auth.password", auth.map(|auth| auth.password.clone()).unwrap_or_default()),
        ("connect_retry.connect", retry.connect.to_string()),
        ("connect_retry.read", retry.read.to_string()),
        ("connect_retry.status", retry.status.to_string()),
        ("connect_retry.backoff_factor", show_duration(retry.backoff_factor)),
        ("connect_retry.backoff_max", show_duration(retry.backoff_max)),
        ("connect_retry.status_forcelist", statuses.join(",")),
        ("connect_requests_timeout", show_duration(settings.connect_requests_timeout)),
        ("connector_name_prefix", settings.connector_name_prefix.clone()),
    ]
}
