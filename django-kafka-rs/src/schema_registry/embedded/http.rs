//! Requests in, answers out.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::oneshot;

use super::store::{Refusal, Store};

/// The largest request.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// Answers until told to stop.
pub(super) async fn serve(listener: TcpListener, store: Arc<Mutex<Store>>, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let store = store.clone();
        let service = service_fn(move |request| answer(request, store.clone()));
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A connection that breaks is its client's matter.
        tokio::spawn(async { drop(connection.await) });
    }
}

async fn answer(request: Request<Incoming>, store: Arc<Mutex<Store>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Ok(response(422, &Refusal::unreadable(&error.to_string()).json())),
    };
    let path: Vec<String> = parts.uri.path().split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let permanent = parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "permanent=true"));
    let body = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
    let result = match body {
        Ok(body) => {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            route(&mut store, &parts.method, &path, &body, permanent)
        }
        Err(error) => Err(Refusal::unreadable(&error.to_string())),
    };
    Ok(match result {
        Ok(value) => response(200, &value),
        Err(refusal) => response(refusal.status(), &refusal.json()),
    })
}

fn route(store: &mut Store, method: &Method, path: &[&str], body: &Value, permanent: bool) -> Result<Value, Refusal> {
    match (method, path) {
        (&Method::GET, []) => Ok(Value::Object(serde_json::Map::new())),
        (&Method::GET, ["subjects"]) => Ok(store.subjects()),
        (&Method::GET, ["schemas", "types"]) => Ok(serde_json::json!(["AVRO"])),
        (&Method::GET, ["schemas", "ids", id]) => store.by_id(id),
        (&Method::GET, ["subjects", subject, "versions"]) => store.versions(subject),
        (&Method::GET, ["subjects", subject, "versions", version]) => store.version(subject, version),
        (&Method::POST, ["subjects", subject, "versions"]) => store.register(subject, body),
        (&Method::POST, ["subjects", subject]) => store.find(subject, body),
        (&Method::DELETE, ["subjects", subject]) => store.delete(subject, permanent),
        (&Method::POST, ["compatibility", "subjects", subject, "versions", version]) => {
            store.is_compatible(subject, version, body)
        }
        (&Method::GET, ["config"]) => Ok(store.compatibility(None)),
        (&Method::GET, ["config", subject]) => Ok(store.compatibility(Some(subject))),
        (&Method::PUT, ["config"]) => store.set_compatibility(None, body),
        (&Method::PUT, ["config", subject]) => store.set_compatibility(Some(subject), body),
        (&Method::GET, ["mode"]) => Ok(serde_json::json!({ "mode": "READWRITE" })),
        _ => Err(Refusal::no_such_place()),
    }
}

fn response(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let json = hyper::header::HeaderValue::from_static("application/vnd.schemaregistry.v1+json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}

/// A part of a path without its `%2F`.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |digit: &u8| char::from(*digit).to_digit(16);
        match (first, tail) {
            (b'%', [a, b, after @ ..]) if hex(a).is_some() && hex(b).is_some() => {
                bytes.push((hex(a).unwrap_or_default() * 16 + hex(b).unwrap_or_default()) as u8);
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
