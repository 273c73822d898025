//! The HTTP client of the checks.

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::ended::Ended;
use crate::event_stream::{Event, Reader};
use crate::limits::{BYTES_MAX, PATIENCE, SILENCE};

/// There is no hub to check.
#[derive(Debug)]
pub struct Unreachable {
    pub(crate) what: String,
    pub(crate) cause: Option<Cause>,
}

pub(crate) type Cause = Box<dyn Error + Send + Sync>;

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Unreachable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

const USER_AGENT_VALUE: &str = concat!("tidings/", env!("CARGO_PKG_VERSION"));

/// Sends requests.
pub(crate) struct Client(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Client {
    pub(crate) fn new(tls: Option<rustls::ClientConfig>) -> Result<Self, Cause> {
        let builder = HttpsConnectorBuilder::new();
        let builder = match tls {
            Some(tls) => builder.with_tls_config(tls),
            None => builder.with_provider_and_platform_verifier(
                rustls::crypto::aws_lc_rs::default_provider(),
            )?,
        };
        let connector = builder.https_or_http().enable_all_versions().build();
        // Each check has its own connection, so that none affects the next.
        let builder = &mut legacy::Client::builder(TokioExecutor::new());
        Ok(Self(builder.pool_max_idle_per_host(0).build(connector)))
    }

    /// The head of the answer.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Cause> {
        // Some servers answer 403 to a request without `User-Agent`, and without `Accept-Encoding`
        // any coding would be allowed.
        for (name, value) in [(USER_AGENT, USER_AGENT_VALUE), (ACCEPT_ENCODING, "identity")] {
            request.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
        }
        Ok(timeout(PATIENCE, self.0.request(request)).await??)
    }
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(response: Response<Incoming>) -> Result<Self, Cause> {
        let (head, body) = response.into_parts();
        let body = timeout(PATIENCE, Limited::new(body, BYTES_MAX).collect()).await??;
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        Ok(Self { status: head.status.as_u16(), headers: head.headers, body })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn json(&self) -> Result<Value, Ended> {
        serde_json::from_str(&self.body)
            .map_err(|error| Ended::Failed(format!("the body is not JSON ({error})")))
    }
}

/// An answer whose body is an event stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    reader: Reader,
}

impl Stream {
    pub(crate) fn new(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        Self { status, headers: head.headers, body, reader: Reader::default() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next event, which must come.
    pub(crate) async fn event(&mut self) -> Result<Event, Ended> {
        let found = self.event_until(Instant::now() + PATIENCE).await;
        found.ok_or_else(|| Ended::Failed("an expected event does not come".to_owned()))
    }

    /// Whether nothing comes for a while.
    pub(crate) async fn is_silent(&mut self) -> bool {
        self.event_until(Instant::now() + SILENCE).await.is_none()
    }

    /// Whether anything comes, even a comment.
    pub(crate) async fn begins(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !self.reader.is_begun {
            if !self.fill(deadline).await {
                return false;
            }
        }
        true
    }

    async fn event_until(&mut self, deadline: Instant) -> Option<Event> {
        loop {
            if let Some(event) = self.reader.next() {
                return Some(event);
            }
            if self.reader.len() > BYTES_MAX || !self.fill(deadline).await {
                return None;
            }
        }
    }

    async fn fill(&mut self, deadline: Instant) -> bool {
        match timeout_at(deadline, self.body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Some(bytes) = frame.data_ref() {
                    self.reader.push(bytes);
                }
                true
            }
            _ => false,
        }
    }
}
