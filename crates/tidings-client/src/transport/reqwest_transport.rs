//! `ReqwestTransport`: an existing `reqwest::Client`.

use http::Request;
use http_body_util::BodyExt;

use crate::{Body, FinalUrl, SendFuture, Transport, TransportError};

/// Sends with a [`reqwest::Client`].
///
/// Give it a client whose redirect policy is [none](reqwest::redirect::Policy::none): the source
/// follows redirects by the standard, and knows which may be remembered. A client that follows them
/// itself works, but not by those rules. A timeout for whole requests would end every stream, and
/// so must not be set.
#[derive(Debug, Clone)]
pub struct ReqwestTransport(reqwest::Client);

impl ReqwestTransport {
    /// A transport over this client.
    #[must_use]
    pub fn new(client: reqwest::Client) -> Self {
        Self(client)
    }
}

impl Transport for ReqwestTransport {
    fn send(&self, request: Request<Body>) -> SendFuture {
        let client = self.0.clone();
        Box::pin(async move {
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))
                .map_err(TransportError::connect)?;
            let response = client.execute(request).await;
            let response =
                response.map_err(|error| TransportError::sort(error.is_connect(), error))?;
            let url = FinalUrl(response.url().to_string());
            let mut response = http::Response::<reqwest::Body>::from(response)
                .map(|body| Body::stream(body.map_err(TransportError::exchange)));
            response.extensions_mut().insert(url);
            Ok(response)
        })
    }
}
