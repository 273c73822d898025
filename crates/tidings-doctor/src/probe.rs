//! One request for the stream, and its response, with times.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body_util::BodyExt as _;
use tidings_client::{Body, HttpTransport, Transport as _, TransportError};
use tokio::time::{Instant, timeout_at};
use url::Url;

/// The request that is repeated.
pub struct Asked {
    /// The stream.
    pub url: Url,
    /// Headers of every request.
    pub headers: HeaderMap,
    /// Makes a transport for each request, so that each has a new connection.
    pub new_transport: Arc<dyn Fn() -> HttpTransport>,
    /// Start of the run, from which times are measured.
    pub started: Instant,
}

/// The head of a response, and its body still to come.
pub(crate) struct Answer {
    pub(crate) head: Head,
    body: Body,
}

/// The head of a response.
#[derive(Clone, Debug)]
pub struct Head {
    pub(crate) at: Duration,
    /// Time it took.
    pub took: Duration,
    /// Status.
    pub status: StatusCode,
    /// HTTP version.
    pub version: Version,
    /// Header fields.
    pub headers: HeaderMap,
    /// URL after redirects.
    pub url: Url,
    /// Statuses of the redirects on the way.
    pub redirects: Vec<StatusCode>,
}

impl Head {
    /// A header as text.
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<String> {
        let value = self.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    pub(crate) fn is_event_stream(&self) -> bool {
        let media_type = self.header(CONTENT_TYPE).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.status == StatusCode::OK && essence == "text/event-stream"
    }

    /// The body's content coding, if any.
    pub(crate) fn coding(&self) -> Option<String> {
        self.header(CONTENT_ENCODING).filter(|coding| {
            let mut codings = coding.split(',').map(str::trim);
            !codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
        })
    }
}

/// Why there is no response.
#[derive(Debug)]
pub enum NoAnswer {
    /// It did not come in time.
    Late,
    /// The network, or the server, failed.
    Failed(String),
}

/// The next thing that happens to a body.
pub(crate) enum Next {
    Bytes(Bytes),
    /// It ended cleanly.
    End,
    /// It was cut short.
    Broken(String),
    /// Time is up.
    Late,
}

impl Asked {
    /// Sends the request, with `more` headers, on a new connection, and follows redirects.
    pub(crate) async fn ask(
        &self,
        method: Method,
        more: &[(HeaderName, &str)],
        until: Instant,
    ) -> Result<Answer, NoAnswer> {
        let begun = Instant::now();
        let mut url = self.url.clone();
        let mut redirects = Vec::new();
        let mut headers = self.headers.clone();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("text/event-stream"));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
        for (name, value) in more {
            let value = HeaderValue::from_bytes(value.as_bytes());
            let value = value.map_err(|error| NoAnswer::Failed(format!("{name}: {error}")))?;
            headers.insert(name, value);
        }
        loop {
            let mut request = Request::new(Body::empty());
            *request.method_mut() = method.clone();
            *request.uri_mut() =
                url.as_str().parse().map_err(|error| NoAnswer::Failed(format!("{error}")))?;
            *request.headers_mut() = headers.clone();
            let answer = timeout_at(until, (self.new_transport)().send(request)).await;
            let answer = answer.map_err(|_| NoAnswer::Late)?;
            let (head, body) =
                answer.map_err(|error| NoAnswer::Failed(sentence(&error)))?.into_parts();
            let location = head.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            match next {
                Some(next) if head.status.is_redirection() && redirects.len() < REDIRECTS_MAX => {
                    if next.origin() != url.origin() {
                        headers.remove(http::header::AUTHORIZATION);
                        headers.remove(http::header::COOKIE);
                    }
                    redirects.push(head.status);
                    url = next;
                }
                _ => {
                    let now = Instant::now();
                    let head = Head {
                        at: now - self.started,
                        took: now - begun,
                        status: head.status,
                        version: head.version,
                        headers: head.headers,
                        url,
                        redirects,
                    };
                    return Ok(Answer { head, body });
                }
            }
        }
    }
}

impl Answer {
    /// The next part of the body, and when it came.
    pub(crate) async fn next(&mut self, until: Instant) -> (Next, Instant) {
        loop {
            let frame = timeout_at(until, self.body.frame()).await;
            let now = Instant::now();
            return match frame {
                Err(_) => (Next::Late, now),
                Ok(None) => (Next::End, now),
                Ok(Some(Err(error))) => (Next::Broken(sentence(&error)), now),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => (Next::Bytes(bytes), now),
                    Err(_) => continue,
                },
            };
        }
    }
}

/// An error with its causes.
fn sentence(error: &TransportError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Maximum number of redirects, by the standard (Fetch §4.4).
const REDIRECTS_MAX: usize = 20;
