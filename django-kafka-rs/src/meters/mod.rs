//! What the runtime counts, for those who operate it.
//!
//! `catalog` names every metric. Who owns a state counts it (`consumer`), with handles that are made once, so that the way
//! of a message costs a few additions a batch. What stands somewhere, lag above all, is asked of its owner when somebody
//! wants to know (`observe`). Nothing is decided by any of it.
//!
//! The facade is the crate `metrics`. With `[metrics] listen` an application has a recorder of its own, which `serve`
//! shows to Prometheus; without, what it counts goes to the recorder that the program has installed, if any.

pub(crate) mod catalog;
mod consumer;
mod health;
mod observe;
#[cfg(feature = "metrics")]
mod serve;

use std::net::SocketAddr;
use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};

use self::catalog::{Kind, Metric};
pub(crate) use self::consumer::{Begun, ConsumerMeters, TopicMeters};
pub(crate) use self::observe::{Observed, Observer, Watched};
#[cfg(feature = "metrics")]
use self::serve::Server;
use crate::settings::MetricsSettings;

/// Where metrics go. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Meters {
    /// The application's own; else the program's, where it has installed one.
    own: Option<Arc<dyn Recorder + Send + Sync>>,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").field("own", &self.own.is_some()).finish()
    }
}

impl Meters {
    /// Counts to this recorder, and says to it what each metric is.
    #[cfg(feature = "metrics")]
    pub(crate) fn to(recorder: Arc<dyn Recorder + Send + Sync>) -> Self {
        let meters = Self { own: Some(recorder) };
        meters.describe();
        meters
    }

    /// Counts to the recorder that the program has installed, if any.
    pub(crate) fn of_program() -> Self {
        let meters = Self::default();
        meters.describe();
        meters
    }

    /// Tells the recorder what each metric is.
    fn describe(&self) {
        self.with(|recorder| {
            for Metric { name, kind, unit, help, .. } in catalog::ALL {
                match kind {
                    Kind::Counter => recorder.describe_counter((*name).into(), Some(*unit), (*help).into()),
                    Kind::Gauge => recorder.describe_gauge((*name).into(), Some(*unit), (*help).into()),
                    Kind::Histogram(_) => recorder.describe_histogram((*name).into(), Some(*unit), (*help).into()),
                }
            }
        });
    }

    pub(crate) fn counter(&self, metric: &'static Metric, labels: &[&str]) -> Counter {
        debug_assert!(metric.kind == Kind::Counter, "{}", metric.name);
        self.with(|recorder| recorder.register_counter(&key(metric, labels), &METADATA))
    }

    pub(crate) fn gauge(&self, metric: &'static Metric, labels: &[&str]) -> Gauge {
        debug_assert!(metric.kind == Kind::Gauge, "{}", metric.name);
        self.with(|recorder| recorder.register_gauge(&key(metric, labels), &METADATA))
    }

    pub(crate) fn histogram(&self, metric: &'static Metric, labels: &[&str]) -> Histogram {
        debug_assert!(matches!(metric.kind, Kind::Histogram(_)), "{}", metric.name);
        self.with(|recorder| recorder.register_histogram(&key(metric, labels), &METADATA))
    }

    fn with<T>(&self, work: impl FnOnce(&dyn Recorder) -> T) -> T {
        match &self.own {
            Some(own) => work(own),
            None => metrics::with_recorder(work),
        }
    }
}

static METADATA: Metadata<'static> = Metadata::new("django_kafka_rs", Level::INFO, Some("django_kafka_rs"));

/// A metric with the values of its labels, in the catalog's order.
fn key(metric: &'static Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let labels = metric.labels.iter().zip(values).map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(metric.name, labels.collect::<Vec<_>>())
}

/// The endpoint that the settings ask for, while it answers.
#[derive(Debug, Default)]
pub(crate) struct Endpoint {
    #[cfg(feature = "metrics")]
    server: Option<Server>,
}

impl Endpoint {
    /// Answers no more.
    #[expect(clippy::unused_self, reason = "what it has is dropped; without the feature it has nothing")]
    pub(crate) fn close(self) {}
}

#[cfg(feature = "metrics")]
impl Endpoint {
    /// Answers from now on, where the settings say so. `owns_process`: what the program's own code counts is shown, too.
    ///
    /// # Errors
    /// The address cannot be listened at; the text says what to do.
    pub(crate) fn start(settings: &MetricsSettings, owns_process: bool) -> Result<Self, String> {
        let Some(address) = settings.listen else { return Ok(Self::default()) };
        let server = Server::start(address).map_err(|error| {
            format!(
                "`metrics.listen`: cannot listen at {address}: {error}; does another process listen there? Choose \
                 another port, or stop that process"
            )
        })?;
        tracing::info!("metrics at http://{0}/metrics, probes at http://{0}/live and /ready", server.address());
        if owns_process && !server.install() {
            tracing::debug!("the program has a recorder of its own for what it counts itself");
        }
        Ok(Self { server: Some(server) })
    }

    /// Where what it shows is counted; else where the program has it counted.
    pub(crate) fn meters(&self) -> Meters {
        match &self.server {
            Some(server) => server.meters(),
            None => Meters::of_program(),
        }
    }

    /// The consumers are started, and this one knows them.
    pub(crate) fn started(&self, observer: &Observer) {
        if let Some(server) = &self.server {
            server.started(observer.clone());
        }
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(Server::address)
    }
}

/// This build has none.
#[cfg(not(feature = "metrics"))]
impl Endpoint {
    pub(crate) fn start(settings: &MetricsSettings, _owns_process: bool) -> Result<Self, String> {
        match settings.listen {
            None => Ok(Self::default()),
            // Settings that were not read, but made in code.
            Some(_) => {
                Err("`metrics.listen` needs the feature `metrics` of django-kafka-rs, and this program is built \
                            without it: add it in Cargo.toml, or set none"
                    .to_owned())
            }
        }
    }

    #[expect(clippy::unused_self, reason = "as the other one")]
    pub(crate) fn meters(&self) -> Meters {
        Meters::of_program()
    }

    #[expect(clippy::unused_self, reason = "as the other one")]
    pub(crate) fn started(&self, _observer: &Observer) {}

    #[expect(clippy::unused_self, reason = "as the other one")]
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        None
    }
}
