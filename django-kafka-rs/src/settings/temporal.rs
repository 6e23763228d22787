//! `[temporal]`.

use super::document::Node;
use super::section::{Findings, Section};
use super::values::{Expected, text};

/// `[temporal]`: where Temporal is, for `relation_resolver_daemon = "temporal"`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TemporalSettings {
    /// The frontend's gRPC address: `http://host:7233`, `https://host:7233`, or `host:7233`, which is `https` where
    /// `api_key` or `tls_ca` is set. Default: `http://localhost:7233`.
    pub address: String,
    /// The namespace. It has to exist; services that share one would share the schedule, too. Default: `default`.
    pub namespace: String,
    /// An API key, sent as a bearer token. Default: none.
    pub api_key: Option<String>,
    /// A PEM file of certificates to trust in place of the system's. Default: none.
    pub tls_ca: Option<String>,
}

impl Default for TemporalSettings {
    fn default() -> Self {
        Self {
            address: "http://localhost:7233".to_owned(),
            namespace: "default".to_owned(),
            api_key: None,
            tls_ca: None,
        }
    }
}

/// Without the key.
impl std::fmt::Debug for TemporalSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemporalSettings")
            .field("address", &super::mask("address", &self.address))
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl TemporalSettings {
    /// The address with its scheme.
    #[cfg(any(feature = "temporal", test))]
    pub(crate) fn target(&self) -> String {
        if self.address.contains("://") {
            return self.address.clone();
        }
        let scheme = if self.wants_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    fn wants_tls(&self) -> bool {
        self.api_key.is_some() || self.tls_ca.is_some()
    }
}

/// Reads the table.
pub(super) fn read(mut section: Section, settings: &mut TemporalSettings, findings: &mut Findings) {
    section.set("address", &mut settings.address, findings, address);
    section.set("namespace", &mut settings.namespace, findings, text);
    settings.api_key = section.read("api_key", findings, text);
    settings.tls_ca = section.read("tls_ca", findings, text);
    section.finish(findings);
    if settings.wants_tls() && settings.address.starts_with("http://") {
        let given = if settings.api_key.is_some() { "api_key" } else { "tls_ca" };
        let why = format!("`{given}` is set, and `http://` is in the clear: write `https://`, or take `{given}` out");
        findings.mistake_at("temporal.address", why);
    }
}

fn address(node: &Node) -> Result<String, Expected> {
    text(node)
        .ok()
        .map(|address| address.trim().trim_end_matches('/').to_owned())
        .filter(|address| is_address(address))
        .ok_or_else(|| "an address like \"http://temporal:7233\"".to_owned())
}

/// Whether there is a host, with or without a port, and nothing after it.
fn is_address(address: &str) -> bool {
    let rest = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://")).unwrap_or(address);
    let port = rest.rsplit_once(':').filter(|_| !rest.ends_with(']')).map(|(_, port)| port);
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    !rest.is_empty() && !rest.starts_with(':') && !rest.contains(['/', '?', '#', '@', ' ', ',']) && is_port
}

#[cfg(test)]
mod tests {
    use super::{TemporalSettings, is_address};

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for address in ["temporal:7233", "http://temporal:7233", "https://x.tmprl.cloud:7233", "temporal", "[::1]:7233"]
        {
            assert!(is_address(address), "{address}");
        }
        for address in ["", ":7233", "temporal:0", "temporal:x", "grpc://temporal:7233", "http://t:7233/x", "a@b:1"] {
            assert!(!is_address(address), "{address}");
        }
    }

    #[test]
    fn an_address_without_scheme_is_in_the_clear_only_without_credentials() {
        let mut settings = TemporalSettings { address: "t:7233".to_owned(), ..TemporalSettings::default() };
        assert_eq!(settings.target(), "http://t:7233");
        settings.api_key = Some("k".to_owned());
        assert_eq!(settings.target(), "https://t:7233");
        settings.address = "https://t:1".to_owned();
        assert_eq!(settings.target(), "https://t:1");
    }

    #[test]
    fn the_key_is_not_shown() {
        let settings = TemporalSettings { api_key: Some("hidden".to_owned()), ..TemporalSettings::default() };
        assert!(!format!("{settings:?}").contains("hidden"));
    }
}
