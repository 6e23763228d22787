//! The connection.

use std::time::Duration;

use temporalio_client::errors::ClientConnectError;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, TlsOptions};

use super::error::{TemporalError, chain};
use crate::settings::{Settings, TemporalSettings, mask};

/// How long a connection may take, with the server's first answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to Temporal, once.
///
/// # Errors
/// Its address is none, a file cannot be read, or it does not answer.
pub(super) async fn connect(settings: &Settings) -> Result<Client, TemporalError> {
    let temporal = &settings.temporal;
    let options = options(settings)?;
    let away = |why: String| TemporalError::Away { address: mask("address", &temporal.address), why };
    let connection = tokio::time::timeout(CONNECT_TIMEOUT, Connection::connect(options))
        .await
        .map_err(|_| away(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())))?
        .map_err(|error| away(connecting(&error)))?;
    Client::new(connection, ClientOptions::new(&temporal.namespace).build()).map_err(|error| away(chain(&error)))
}

fn options(settings: &Settings) -> Result<ConnectionOptions, TemporalError> {
    let TemporalSettings { api_key, tls_ca, .. } = &settings.temporal;
    let target = settings.temporal.target();
    let target = url::Url::parse(&target).map_err(|error| {
        TemporalError::Settings(format!("`temporal.address`: `{}` is no address: {error}", mask("address", &target)))
    })?;
    let tls = match tls_ca {
        Some(file) => {
            let authority = std::fs::read(file).map_err(|error| {
                TemporalError::Settings(format!("`temporal.tls_ca`: `{file}` cannot be read: {error}"))
            })?;
            Some(TlsOptions::builder().server_root_ca_cert(authority).build())
        }
        None if target.scheme() == "https" => Some(TlsOptions::default()),
        None => None,
    };
    Ok(ConnectionOptions::new(target)
        // Who has a task in hand, as Temporal's own clients say it.
        .identity(format!("{}@{}", std::process::id(), settings.client_id))
        .connect_timeout(CONNECT_TIMEOUT)
        .maybe_api_key(api_key.clone())
        .maybe_tls_options(tls)
        .build())
}

/// The cause of a failed connection, without the client's own words around it.
fn connecting(error: &ClientConnectError) -> String {
    match error {
        ClientConnectError::TonicTransportError(error) => chain(error),
        ClientConnectError::SystemInfoCallError(status) => format!("{:?}: {}", status.code(), status.message()),
        error => chain(error),
    }
}
