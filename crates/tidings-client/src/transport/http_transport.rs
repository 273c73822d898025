//! `HttpTransport`: HTTP/1.1 and HTTP/2, by hyper; TLS by rustls.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
#[cfg(feature = "tls")]
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderValue, Request, Uri};
use http_body::Body as _;
use http_body_util::BodyExt;
#[cfg(feature = "tls")]
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;
use tower_service::Service;

use crate::limits::{
    ANSWER_FIELDS_MAX, CONNECT_WAIT_MAX, HTTP2_CONNECTION_WINDOW, HTTP2_STREAM_WINDOW,
    TCP_KEEPALIVE,
};
use crate::{Body, SendFuture, Transport, TransportError};

/// The default transport: HTTP/1.1 and HTTP/2 over TCP or TLS, with a pool of connections.
///
/// Over TLS, client and server negotiate the version (ALPN). Without TLS it is HTTP/1.1, unless
/// [`http2_prior_knowledge`](Self::http2_prior_knowledge) says otherwise. Sources that share a
/// transport share HTTP/2 connections too. Clones share the pool.
///
/// A request without a `User-Agent` is sent with `tidings/` and the version, and one without an
/// `Accept-Encoding` with `identity`: received bytes are passed on unchanged.
///
/// It needs a tokio runtime.
#[derive(Clone)]
pub struct HttpTransport {
    plain: Client<InTime<HttpConnector>, Body>,
    #[cfg(feature = "tls")]
    tls: Arc<Tls>,
}

impl HttpTransport {
    /// A transport that trusts the certificates the operating system trusts.
    #[must_use]
    pub fn new() -> Self {
        Self::with_version(Version::Negotiated)
    }

    /// A transport that speaks HTTP/2 at once, even without TLS (RFC 9113 §3.3).
    #[must_use]
    pub fn http2_prior_knowledge() -> Self {
        Self::with_version(Version::Http2)
    }

    /// A transport with the caller's TLS configuration: other roots, a client certificate. Its list
    /// of application protocols must be empty; it is filled in here.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(config: rustls::ClientConfig) -> Self {
        let transport = Self::new();
        let client = tls_client(config, Version::Negotiated);
        // The lock is new: it cannot be taken.
        let _ = transport.tls.client.set(client);
        transport
    }

    fn with_version(version: Version) -> Self {
        Self {
            plain: client(tcp(), version),
            #[cfg(feature = "tls")]
            tls: Arc::new(Tls { version, client: OnceLock::new() }),
        }
    }
}

const USER_AGENT_VALUE: &str = concat!("tidings/", env!("CARGO_PKG_VERSION"));

impl Default for HttpTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for HttpTransport {
    fn send(&self, mut request: Request<Body>) -> SendFuture {
        // Some servers answer 403 to a request without `User-Agent`; and without `Accept-Encoding`
        // an answer may have any coding (RFC 9110 §12.5.3).
        for (name, value) in [(USER_AGENT, USER_AGENT_VALUE), (ACCEPT_ENCODING, "identity")] {
            request.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
        }
        if request.uri().scheme() != Some(&Scheme::HTTPS) {
            return exchange(&self.plain, request);
        }
        #[cfg(feature = "tls")]
        return match self.tls.client() {
            Ok(client) => exchange(client, request),
            Err(error) => Box::pin(std::future::ready(Err(TransportError::connect(error)))),
        };
        #[cfg(not(feature = "tls"))]
        Box::pin(std::future::ready(Err(TransportError::connect(
            "this program is built without tls",
        ))))
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").finish_non_exhaustive()
    }
}

#[cfg(feature = "tls")]
type TlsClient = Client<InTime<HttpsConnector<HttpConnector>>, Body>;

/// Created when it is first needed, because it reads the trusted certificates from files, and plain
/// HTTP must not fail where there are none.
#[cfg(feature = "tls")]
struct Tls {
    version: Version,
    client: OnceLock<TlsClient>,
}

#[cfg(feature = "tls")]
impl Tls {
    fn client(&self) -> Result<&TlsClient, rustls::Error> {
        use rustls_platform_verifier::BuilderVerifierExt;

        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // Named explicitly: a process default may not be installed, or may be ambiguous.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        Ok(self.client.get_or_init(|| tls_client(config, self.version)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Negotiated,
    Http2,
}

fn tcp() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    // Shared among the addresses of a name, so that a dead one does not use up all the time.
    connector.set_connect_timeout(Some(CONNECT_WAIT_MAX));
    // Finds a vanished peer although a stream may be silent for a long time.
    connector.set_keepalive(Some(TCP_KEEPALIVE));
    connector.set_keepalive_interval(Some(TCP_KEEPALIVE / 4));
    connector.set_keepalive_retries(Some(4));
    connector
}

#[cfg(feature = "tls")]
fn tls_client(config: rustls::ClientConfig, version: Version) -> TlsClient {
    let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_only();
    let connector = match version {
        Version::Negotiated => builder.enable_all_versions().wrap_connector(tcp()),
        Version::Http2 => builder.enable_http2().wrap_connector(tcp()),
    };
    client(connector, version)
}

fn client<C>(connector: C, version: Version) -> Client<InTime<C>, Body>
where
    InTime<C>: Connect + Clone,
{
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(60))
        // Old servers and scripts still fold long fields (RFC 9112 §5.2).
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_max_headers(ANSWER_FIELDS_MAX)
        .http2_only(version == Version::Http2)
        .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .build(InTime(connector))
}

fn exchange<C>(client: &Client<C, Body>, request: Request<Body>) -> SendFuture
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let again = repeated(&request);
    let client = client.clone();
    Box::pin(async move {
        let mut response = client.request(request).await;
        if let (Err(error), Some(request)) = (&response, again)
            && broke_off(error)
        {
            response = client.request(request).await;
        }
        let response = response.map_err(|error| TransportError::sort(error.is_connect(), error))?;
        Ok(response.map(|body| Body::stream(body.map_err(TransportError::exchange))))
    })
}

/// The same request, if it may be sent twice: it changes nothing and has no body.
fn repeated(request: &Request<Body>) -> Option<Request<Body>> {
    if !request.method().is_safe() || !request.body().is_end_stream() {
        return None;
    }
    let mut again = Request::new(Body::empty());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.version_mut() = request.version();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}

/// Whether a connection was closed before its answer. A server may close one that is idle at the
/// moment at which a request is sent on it (RFC 9112 §9.3.1).
fn broke_off(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
            return true;
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
        }
        cause = error.source();
    }
    false
}

/// A connector that gives up when a connection is not made in time, TLS included.
#[derive(Clone)]
struct InTime<C>(C);

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(CONNECT_WAIT_MAX, self.0.call(uri));
        Box::pin(async move { connecting.await?.map_err(Into::into) })
    }
}

type BoxError = Box<dyn Error + Send + Sync>;
