//! The client and the command, against a server in this process.

mod client;
mod command;
mod server;

use std::time::Duration;

use crate::connect::client::ConnectClient;
use crate::settings::Settings;

/// Settings whose waits are none, so that no test waits.
fn settings(address: &str) -> Settings {
    let mut settings = Settings::default();
    settings.connect_host = Some(address.to_owned());
    settings.connect_retry.backoff_factor = Duration::ZERO;
    settings
}

fn client(settings: &Settings) -> ConnectClient {
    ConnectClient::new(settings).expect("the address is right")
}
