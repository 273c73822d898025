//! Our client as a service for `launchdarkly/sse-contract-tests`, an outside test suite for SSE
//! clients: the suite tells this service over HTTP which streams to open, and gets the results over
//! HTTP.
//!
//! `contract-service --port 8000`, then the suite with `-url http://localhost:8000`.

#![allow(clippy::print_stderr)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tidings_client::{
    Backoff, Body, Cause, EventId, EventSource, HttpTransport, Item, SourceHandle, Transport,
};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// All capabilities of the suite except `event-type-listeners`, which is for clients that must know
/// the types in advance.
const CAPABILITIES: [&str; 10] = [
    "bom",
    "comments",
    "headers",
    "last-event-id",
    "payload-size-stress-testable",
    "post",
    "read-timeout",
    "report",
    "restart",
    "server-directed-shutdown-request",
];

/// The suite sends events of several MiB; this is more than any of them.
const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let port = match &args[..] {
        [] => Some(8000),
        [flag, port] if flag == "--port" => port.parse().ok(),
        _ => None,
    };
    let Some(port) = port else {
        eprintln!("usage: contract-service [--port PORT]");
        return ExitCode::from(2);
    };
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let service = Arc::new(Service::default());
            tokio::select! {
                () = accept(listener, service.clone()) => {}
                () = service.quit.notified() => {}
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cannot listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn accept(listener: TcpListener, service: Arc<Service>) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.answer(request).await) }
            });
            // An error here means that the suite has left.
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            let _ = connection.await;
        });
    }
}

/// The streams that the suite has opened.
#[derive(Default)]
struct Service {
    sources: Mutex<HashMap<u64, SourceHandle>>,
    next: AtomicU64,
    quit: Notify,
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return status(StatusCode::BAD_REQUEST);
        };
        let body = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
        let path = head.uri.path().trim_start_matches('/');
        let number = path.strip_prefix("streams/").and_then(|n| n.parse().ok());
        match (head.method, path, number) {
            (Method::GET, "", _) => {
                let about = json!({ "name": "tidings-client", "capabilities": CAPABILITIES });
                Response::new(Full::from(about.to_string()))
            }
            (Method::DELETE, "", _) => {
                self.quit.notify_one();
                status(StatusCode::NO_CONTENT)
            }
            (Method::POST, "", _) => self.create(&body),
            (Method::POST, _, Some(number)) => self.command(number, &body),
            (Method::DELETE, _, Some(number)) => self.close(number),
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    fn create(&self, params: &Value) -> Response<Full<Bytes>> {
        let Some((source, callbacks)) = open(params) else {
            return status(StatusCode::BAD_REQUEST);
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.sources().insert(number, source.handle());
        tokio::spawn(tell(source, callbacks));
        let mut response = status(StatusCode::CREATED);
        let location = format!("/streams/{number}");
        let location = location.try_into().expect("a path of letters and digits");
        response.headers_mut().insert("location", location);
        response
    }

    fn command(&self, number: u64, params: &Value) -> Response<Full<Bytes>> {
        let Some(source) = self.sources().get(&number).cloned() else {
            return status(StatusCode::NOT_FOUND);
        };
        match params["command"].as_str() {
            Some("restart") => {
                source.restart();
                status(StatusCode::ACCEPTED)
            }
            _ => status(StatusCode::BAD_REQUEST),
        }
    }

    fn close(&self, number: u64) -> Response<Full<Bytes>> {
        match self.sources().remove(&number) {
            Some(source) => {
                source.close();
                status(StatusCode::NO_CONTENT)
            }
            None => status(StatusCode::NOT_FOUND),
        }
    }

    fn sources(&self) -> std::sync::MutexGuard<'_, HashMap<u64, SourceHandle>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// The source that the suite requests, and where to report. `None` if the request is impossible.
fn open(params: &Value) -> Option<(EventSource, String)> {
    let text = |name: &str| params[name].as_str();
    let time = |name: &str| params[name].as_u64().map(Duration::from_millis);
    let callbacks = text("callbackUrl")?.trim_end_matches('/').to_owned();
    let mut builder =
        EventSource::builder(text("streamUrl")?).comments(true).event_bytes_max(EVENT_BYTES_MAX);
    if let Some(delay) = time("initialDelayMs") {
        // The wait is as the suite says; zero means none at all.
        let policy = Backoff::new().base(delay).floor(Duration::ZERO).jitter(0.0);
        builder = builder.retry_policy(policy);
    }
    if let Some(timeout) = time("readTimeoutMs") {
        builder = builder.idle_timeout(timeout);
    }
    if let Some(id) = text("lastEventId").filter(|id| !id.is_empty()) {
        builder = builder.last_event_id(EventId::new(id).ok()?);
    }
    if let Some(method) = text("method").filter(|method| !method.is_empty()) {
        builder = builder.method(method.parse().ok()?);
    }
    if let Some(body) = text("body") {
        builder = builder.body(body.to_owned());
    }
    for (name, value) in params["headers"].as_object().into_iter().flatten() {
        builder = builder.header(name, value.as_str()?);
    }
    Some((builder.open().ok()?, callbacks))
}

/// Reports the items of a source, one callback after the other.
async fn tell(mut source: EventSource, callbacks: String) {
    let transport = HttpTransport::new();
    let mut number = 1;
    while let Some(item) = source.next().await {
        let message = match item {
            Ok(Item::Event(event)) => json!({
                "kind": "event",
                "event": {
                    "type": event.event_type(),
                    "data": event.data(),
                    "id": event.last_event_id().map(EventId::as_str),
                },
            }),
            Ok(Item::Comment(text)) => json!({ "kind": "comment", "comment": text }),
            Ok(Item::Reconnecting(lost)) => match &lost.cause {
                // Neither is an error, and where the suite expects an event it accepts nothing
                // else.
                Cause::Ended | Cause::Restarted => continue,
                cause => json!({ "kind": "error", "error": cause.to_string() }),
            },
            Ok(_) => continue,
            Err(error) => json!({ "kind": "error", "error": error.to_string() }),
        };
        let request = Request::post(format!("{callbacks}/{number}"))
            .header("content-type", "application/json")
            .body(Body::from(Bytes::from(message.to_string())));
        number += 1;
        let Ok(request) = request else {
            return eprintln!("{callbacks} is not a callback URL");
        };
        if let Err(error) = transport.send(request).await {
            return eprintln!("cannot send callbacks to {callbacks}: {error}");
        }
    }
}
