//! `[schema_registry]`.

use std::time::Duration;

use super::document::Raw;
use super::section::{Findings, Section};
use super::values::{Expected, flag, one_of, positive_duration, text};
use crate::settings::document::Node;

/// `[schema_registry]`: where the schemas of Avro messages are. The names of Confluent's clients are understood too:
/// `basic.auth.user.info`, `auto.register.schemas`, …
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaRegistrySettings {
    /// The registry's addresses, tried in their order: `http://registry:8081`. Default: none, and one inside the
    /// program in embedded mode.
    pub urls: Vec<String>,
    /// `user:password` for basic authentication. Default: none.
    pub basic_auth_user_info: Option<String>,
    /// A token for bearer authentication. Default: none.
    pub bearer_auth_token: Option<String>,
    /// A PEM file of certificates to trust beside the system's (`https` needs the feature `https`). Default: none.
    pub ssl_ca_location: Option<String>,
    /// A PEM file of our own certificate, with `ssl_key_location`. Default: none.
    pub ssl_certificate_location: Option<String>,
    /// A PEM file of our own certificate's key. Default: none.
    pub ssl_key_location: Option<String>,
    /// How long the registry may take to answer. Default: 10 seconds.
    pub timeout: Duration,
    /// Whether a declared schema is registered when its first message is produced; else it has to be registered.
    /// Default: true.
    pub auto_register_schemas: bool,
    /// Whether messages are written with the latest schema of their subject in place of the declared one. It is asked
    /// for once. Default: false.
    pub use_latest_version: bool,
    /// Whether to ask at start if the registry takes the declared schemas, and not to start where it does not.
    /// Default: false.
    pub check_compatibility: bool,
}

impl Default for SchemaRegistrySettings {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            basic_auth_user_info: None,
            bearer_auth_token: None,
            ssl_ca_location: None,
            ssl_certificate_location: None,
            ssl_key_location: None,
            timeout: Duration::from_secs(10),
            auto_register_schemas: true,
            use_latest_version: false,
            check_compatibility: false,
        }
    }
}

/// Without the credentials.
impl std::fmt::Debug for SchemaRegistrySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let urls: Vec<_> = self.urls.iter().map(|url| super::mask("url", url)).collect();
        f.debug_struct("SchemaRegistrySettings").field("urls", &urls).finish_non_exhaustive()
    }
}

impl SchemaRegistrySettings {
    /// The user and the password of basic authentication.
    #[cfg(feature = "avro")]
    pub(crate) fn credentials(&self) -> Option<(&str, &str)> {
        self.basic_auth_user_info.as_deref().map(|info| info.split_once(':').unwrap_or((info, "")))
    }
}

/// Reads the table; its levels are joined already.
pub(super) fn read(mut section: Section, settings: &mut SchemaRegistrySettings, findings: &mut Findings) {
    section.set("url", &mut settings.urls, findings, addresses);
    // What Confluent's clients say beside the credentials themselves.
    let _ = section.read("basic_auth_credentials_source", findings, |node| one_of(node, &[("USER_INFO", ())]));
    let _ = section.read("bearer_auth_credentials_source", findings, |node| one_of(node, &[("STATIC_TOKEN", ())]));
    settings.basic_auth_user_info = section.read("basic_auth_user_info", findings, user_info);
    settings.bearer_auth_token = section.read("bearer_auth_token", findings, text);
    settings.ssl_ca_location = section.read("ssl_ca_location", findings, text);
    settings.ssl_certificate_location = section.read("ssl_certificate_location", findings, text);
    settings.ssl_key_location = section.read("ssl_key_location", findings, text);
    section.set("timeout", &mut settings.timeout, findings, positive_duration);
    section.set("auto_register_schemas", &mut settings.auto_register_schemas, findings, flag);
    section.set("use_latest_version", &mut settings.use_latest_version, findings, flag);
    section.set("check_compatibility", &mut settings.check_compatibility, findings, flag);
    section.finish(findings);
    together(settings, findings);
}

fn together(settings: &SchemaRegistrySettings, findings: &mut Findings) {
    if settings.basic_auth_user_info.is_some() && settings.bearer_auth_token.is_some() {
        let why = "a registry is asked with one of `basic_auth_user_info` and `bearer_auth_token`: take one out";
        findings.mistake_at("schema_registry.bearer_auth_token", why);
    }
    if settings.ssl_certificate_location.is_some() != settings.ssl_key_location.is_some() {
        let given = if settings.ssl_key_location.is_some() { "ssl_key_location" } else { "ssl_certificate_location" };
        let why = "`ssl_certificate_location` and `ssl_key_location` go together: set both, or none";
        findings.mistake_at(&format!("schema_registry.{given}"), why);
    }
}

/// One address, several with commas between, or a list.
fn addresses(node: &Node) -> Result<Vec<String>, Expected> {
    let expected = || "an address like \"http://registry:8081\", or several".to_owned();
    let addresses: Vec<String> = match &node.raw {
        Raw::Text(text) => text.split(',').map(|url| url.trim().to_owned()).collect(),
        Raw::List(nodes) => nodes.iter().map(text).collect::<Result<_, _>>().map_err(|_| expected())?,
        _ => return Err(expected()),
    };
    let is_address = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    if addresses.is_empty() || !addresses.iter().all(is_address) {
        return Err(expected());
    }
    Ok(addresses)
}

fn user_info(node: &Node) -> Result<String, Expected> {
    text(node).ok().filter(|info| info.contains(':')).ok_or_else(|| "a text like \"user:password\"".to_owned())
}
