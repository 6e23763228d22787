//! The endpoint: `/metrics` for Prometheus, `/live` and `/ready` for probes.
//!
//! It has a thread and a runtime of its own, so that it also answers where handlers block all threads of the program's.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_util::MetricKindMask;
use tokio::sync::{Semaphore, oneshot};

use super::catalog::{self, Kind};
use super::{Meters, Observer, health};

/// Requests at the same time; more wait.
const CONNECTIONS_MAX: usize = 16;
/// How long a client may take to ask.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection lives at most.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How often what histograms have gathered is summed up, also where nobody asks.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Blocking questions at the same time: to the brokers, to the database.
const BLOCKING_MAX: usize = 4;
/// Gauges that nobody sets any more are shown for so long: those of partitions that were taken away.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// An endpoint that answers, until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    recorder: Arc<PrometheusRecorder>,
    observer: Arc<OnceLock<Observer>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Server {
    /// Listens, and answers from now on.
    ///
    /// # Errors
    /// The address cannot be listened at, or no thread be started.
    pub(crate) fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let recorder = Arc::new(recorder()?);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_MAX).build()?;
        let (stop, stopped) = oneshot::channel();
        let observer = Arc::new(OnceLock::new());
        let desk = Arc::new(Desk { metrics: recorder.handle(), observer: observer.clone() });
        std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            runtime.block_on(serve(listener, desk, stopped));
            // Whatever still asks must not hold the process.
            runtime.shutdown_background();
        })?;
        Ok(Self { address, recorder, observer, stop: Some(stop) })
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where what it shows is counted.
    pub(crate) fn meters(&self) -> Meters {
        Meters::to(self.recorder.clone())
    }

    /// Makes it the recorder of the program too, so that it shows what handlers count; `false`: there is one already.
    pub(crate) fn install(&self) -> bool {
        metrics::set_global_recorder(self.recorder.clone()).is_ok()
    }

    /// The consumers are started, and this one knows them.
    pub(crate) fn started(&self, observer: Observer) {
        // Called once: there is nothing to replace.
        let _ = self.observer.set(observer);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It has ended by itself.
            let _ = stop.send(());
        }
    }
}

/// A recorder that knows the buckets of our histograms.
fn recorder() -> io::Result<PrometheusRecorder> {
    let mut builder = PrometheusBuilder::new().idle_timeout(MetricKindMask::GAUGE, Some(IDLE_TIMEOUT));
    for metric in catalog::ALL {
        if let Kind::Histogram(buckets) = metric.kind {
            let matcher = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(matcher, buckets.bounds()).map_err(io::Error::other)?;
        }
    }
    Ok(builder.build_recorder())
}

/// What requests are answered with.
struct Desk {
    metrics: PrometheusHandle,
    observer: Arc<OnceLock<Observer>>,
}

/// Answers until told to stop.
async fn serve(listener: TcpListener, desk: Arc<Desk>, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut upkeep = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        let accepted = tokio::select! {
            accepted = async {
                // Never closed.
                let place = places.clone().acquire_owned().await.ok();
                listener.accept().await.map(|(stream, _)| (stream, place))
            } => accepted,
            _ = upkeep.tick() => {
                desk.metrics.run_upkeep();
                continue;
            }
            _ = &mut stopped => return,
        };
        let Ok((stream, place)) = accepted else { continue };
        let desk = desk.clone();
        let service = service_fn(move |request| {
            let desk = desk.clone();
            async move { Ok::<_, std::convert::Infallible>(desk.answer(&request).await) }
        });
        // One request each: what lies idle holds no place.
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_TIMEOUT)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // A connection that breaks is its client's matter.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
            drop(place);
        });
    }
}

impl Desk {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/metrics" => {
                if let Some(observer) = self.observer.get() {
                    observer.observe().await;
                }
                let mut response = text(StatusCode::OK, self.metrics.render());
                let form = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, form);
                response
            }
            "/live" | "/health" => said(match self.observer.get() {
                Some(observer) => observer.live().await,
                // Starting has limits of its own.
                None => Ok(()),
            }),
            "/ready" => said(match self.observer.get() {
                Some(observer) => observer.ready().await,
                None => health::ready(None, Ok(())),
            }),
            "/" => text(StatusCode::OK, "django-kafka-rs: /metrics, /live, /ready"),
            _ => text(StatusCode::NOT_FOUND, "not here; there are /metrics, /live and /ready"),
        }
    }
}

fn said(verdict: Result<(), String>) -> Response<Full<Bytes>> {
    match verdict {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

fn text(status: StatusCode, text: impl Into<String>) -> Response<Full<Bytes>> {
    let mut body = text.into();
    if !body.ends_with('\n') {
        body.push('\n');
    }
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
