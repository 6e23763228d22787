//! `[metrics]`.

use std::net::SocketAddr;

use super::document::Node;
use super::section::{Findings, Section};
use super::values::{Expected, text};

/// `[metrics]`: what `consume` and the daemons show to those who operate them. Needs the feature `metrics`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricsSettings {
    /// Where to answer Prometheus (`/metrics`) and probes (`/live`, `/ready`), without TLS and to whoever asks:
    /// `127.0.0.1:9464`, or `0.0.0.0:9464` for all of the machine's addresses. Port 0 is one that is free. Default:
    /// none, nothing is opened.
    pub listen: Option<SocketAddr>,
}

/// Reads the table.
pub(super) fn read(mut section: Section, settings: &mut MetricsSettings, findings: &mut Findings) {
    settings.listen = section.read("listen", findings, address);
    section.finish(findings);
}

fn address(node: &Node) -> Result<SocketAddr, Expected> {
    let address = text(node).ok().and_then(|address| address.trim().parse().ok());
    address.ok_or_else(|| {
        "an IP address and a port, like \"127.0.0.1:9464\", or \"0.0.0.0:9464\" for all of the machine's addresses"
            .to_owned()
    })
}
