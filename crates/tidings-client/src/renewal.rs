//! Another token for a running connection.
//!
//! In time before a stream's token expires, a Tidings hub sends `tidings.expiring` with a handle.
//! `PUT /connections/{id}/token` with the handle and another token prolongs the stream, which is
//! not interrupted.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use serde::Deserialize;
use tokio::time::timeout;

use crate::target::Target;
use crate::token_provider::{TokenFuture, bearer};
use crate::{Body, Transport};

/// Type of the event with which a hub announces that a token is about to expire.
pub(crate) const EXPIRING: &str = "tidings.expiring";

/// What the hub says of the running connection.
#[derive(Debug, Deserialize)]
pub(crate) struct Expiring {
    connection: String,
    handle: String,
    in_ms: u64,
}

impl Expiring {
    /// Reads the data of the event; `None` if this connection cannot be renewed with a token.
    pub(crate) fn parse(data: &str) -> Option<Self> {
        let expiring = serde_json::from_str::<Self>(data).ok()?;
        // It becomes part of a path.
        let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-';
        expiring.connection.chars().all(is_id).then_some(expiring)
    }

    /// The request to the hub whose stream is at `stream`, with these headers, without the token.
    pub(crate) fn order(&self, stream: &Target, mut headers: HeaderMap) -> Option<RenewalOrder> {
        let target = stream.beside_events(&format!("/connections/{}/token", self.connection))?;
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = serde_json::json!({ "handle": self.handle }).to_string();
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::PUT;
        *request.uri_mut() = target.uri().clone();
        *request.headers_mut() = headers;
        Some(RenewalOrder { request, left: Duration::from_millis(self.in_ms) })
    }
}

/// A request to the hub that lacks only the new token.
#[derive(Debug)]
pub(crate) struct RenewalOrder {
    request: Request<Bytes>,
    /// Time until the old token expires.
    pub(crate) left: Duration,
}

/// A renewal under way.
pub(crate) type Renewal = Pin<Box<dyn Future<Output = RenewalOutcome> + Send>>;

/// How a renewal went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenewalOutcome {
    Renewed,
    /// This connection does not get this token: another connection may.
    Refused(StatusCode),
    /// The connection keeps its token, and ends with it.
    Failed,
}

impl RenewalOrder {
    /// Sends the hub the token, once there is one.
    pub(crate) fn carry_out(self, token: TokenFuture, transport: Arc<dyn Transport>) -> Renewal {
        let Self { mut request, left } = self;
        let exchange = async move {
            request.headers_mut().insert(AUTHORIZATION, bearer(&token.await?)?);
            let answer = transport.send(request.map(Body::from)).await?;
            Ok::<_, Box<dyn Error + Send + Sync>>(answer.status())
        };
        Box::pin(async move {
            match timeout(left, exchange).await {
                Ok(Ok(status)) => RenewalOutcome::of(status),
                Ok(Err(_error)) => {
                    crate::trace!("the token could not be renewed: {_error}");
                    RenewalOutcome::Failed
                }
                Err(_) => RenewalOutcome::Failed,
            }
        })
    }
}

impl RenewalOutcome {
    fn of(status: StatusCode) -> Self {
        match status {
            status if status.is_success() => Self::Renewed,
            // A bad token would not open another stream, and the others are no answer to it.
            StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => Self::Failed,
            status if status.is_client_error() => Self::Refused(status),
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn url(stream: &str, data: &str) -> Option<String> {
        let (target, _) = Target::parse(stream).unwrap();
        let order = Expiring::parse(data)?.order(&target, HeaderMap::new())?;
        Some(order.request.uri().to_string())
    }

    #[test]
    fn the_request_goes_to_the_hub_that_has_the_stream() {
        let data = r#"{"connection":"5f21c0de-1a","handle":"h","in_ms":20000,"expires":"…"}"#;
        for (stream, hub) in [
            ("http://h/events/a", "http://h"),
            ("http://h/events?topic=a&token=t", "http://h"),
            ("https://h:8443/below/events/a/events", "https://h:8443/below"),
            ("http://h//events/a", "http://h/"),
            ("http://h/eventsource/events/a", "http://h/eventsource"),
        ] {
            let expected = format!("{hub}/connections/5f21c0de-1a/token");
            assert_eq!(url(stream, data).as_deref(), Some(&*expected), "{stream}");
        }
        assert_eq!(url("http://h/stream", data), None, "not a hub's");
    }

    #[test]
    fn an_event_without_a_handle_or_with_a_path_in_it_is_not_heeded() {
        for data in [
            r#"{"connection":"5f21c0de-1a","in_ms":20000}"#,
            r#"{"connection":"../../x","handle":"h","in_ms":20000}"#,
            "",
        ] {
            assert_eq!(url("http://h/events/a", data), None, "{data}");
        }
    }
}
