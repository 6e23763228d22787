//! TLS to the registry.

use crate::settings::SchemaRegistrySettings;

/// Sets the certificates that the settings name.
///
/// # Errors
/// A file cannot be read, or is no certificate or key.
#[cfg(feature = "https")]
pub(super) fn configure(
    mut http: reqwest::ClientBuilder,
    settings: &SchemaRegistrySettings,
) -> Result<reqwest::ClientBuilder, String> {
    let read = |path: &str| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
    if let Some(path) = &settings.ssl_ca_location {
        let certificates = reqwest::Certificate::from_pem_bundle(&read(path)?);
        let certificates = certificates.map_err(|error| format!("{path} is no PEM file of certificates: {error}"))?;
        for certificate in certificates {
            http = http.add_root_certificate(certificate);
        }
    }
    if let (Some(certificate), Some(key)) = (&settings.ssl_certificate_location, &settings.ssl_key_location) {
        let pem = [read(certificate)?, b"\n".to_vec(), read(key)?].concat();
        let identity = reqwest::Identity::from_pem(&pem);
        // The error could show what is in the key's file.
        let identity =
            identity.map_err(|_| format!("{certificate} and {key} are no PEM files of a certificate and its key"))?;
        http = http.identity(identity);
    }
    Ok(http)
}

/// This build has no TLS: certificates have nothing to be used for.
///
/// # Errors
/// The settings name certificates.
#[cfg(not(feature = "https"))]
pub(super) fn configure(
    http: reqwest::ClientBuilder,
    settings: &SchemaRegistrySettings,
) -> Result<reqwest::ClientBuilder, String> {
    let named = [&settings.ssl_ca_location, &settings.ssl_certificate_location, &settings.ssl_key_location];
    if named.into_iter().any(Option::is_some) {
        return Err("`ssl.…` needs TLS, which this build does not have: enable the feature `https` of \
                    `django-kafka-rs`"
            .to_owned());
    }
    Ok(http)
}
