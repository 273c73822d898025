//! The hub inside an application: as a service in a router of its own.
//!
//! # How the engine gets the socket
//!
//! A request to a server passes through the application's router and its layers and arrives here
//! like any other. If the answer is an event stream, it returns through the same layers as a
//! response without a body, with the stream in its extensions ([`Parked`]). The server takes the
//! stream out, with the headers that the layers have added, and hands it over as if there were no
//! application. So layers may check and reject requests and add headers, but changes to the body of
//! an event stream have no effect.
//!
//! If the application serves connections itself, no server waits for a parked stream, and the
//! response has a body that a shard feeds.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use tower_service::Service;

use crate::answer::{self, Answer, NOSNIFF};
use crate::body::RequestBody;
use crate::client::Client;
use crate::error::BoxError;
use crate::handler::Handler;
use crate::response_body::{Body, Response};
use crate::state::State;
use crate::stream::{self, Stream};

/// A [`Handler`] as a `tower` service, for the router of an application. Clones refer to the same
/// hub.
#[derive(Clone)]
pub struct HandlerService {
    state: Arc<State>,
    handler: Arc<dyn Handler>,
}

/// The peer address of a request's connection, for limits per address: a request extension that is
/// set by an application that serves connections itself.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

impl HandlerService {
    /// `handler` and the state it answers from.
    pub fn new(handler: Arc<dyn Handler>, state: Arc<State>) -> Self {
        Self { state, handler }
    }
}

impl<B> Service<Request<B>> for HandlerService
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { state, handler } = self.clone();
        let mut request = request.map(RequestBody::new);
        if let Some(Peer(peer)) = request.extensions().get().copied() {
            let trusted = &state.config().trusted_proxies;
            let client = Client::new(peer.ip(), false, request.headers(), trusted);
            request.extensions_mut().insert(client);
        }
        let awaited = request.extensions_mut().remove::<Awaited>();
        // Another hub's server has another engine.
        let is_awaited = awaited.is_some_and(|Awaited(by)| Arc::ptr_eq(&by, &state));
        let option = stream::connection_option(request.version(), request.headers());
        Box::pin(async move {
            let mut answer = handler.handle(request).await;
            answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
            let mut stream = match answer {
                Answer::Response(response) => return Ok(response),
                Answer::Stream(stream) => stream,
            };
            if is_awaited {
                return Ok(Parked::response(stream));
            }
            stream.add_connection(option);
            Ok(stream.into_response(state.engine()).await)
        })
    }
}

impl std::fmt::Debug for HandlerService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandlerService").finish_non_exhaustive()
    }
}

/// An application with the hub mounted in it, as the handler of a server. Its answer is an event
/// stream again if the hub within it gave one.
pub struct Mounted<S> {
    application: S,
    state: Arc<State>,
}

impl<S> Mounted<S> {
    /// `application` before a server with this state.
    pub fn new(application: S, state: Arc<State>) -> Self {
        Self { application, state }
    }
}

impl<S, B> Handler for Mounted<S>
where
    S: Service<Request<RequestBody>, Response = http::Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    fn handle(
        self: Arc<Self>,
        mut request: Request<RequestBody>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        request.extensions_mut().insert(Awaited(Arc::clone(&self.state)));
        let mut application = self.application.clone();
        Box::pin(async move {
            let Ok(()) = std::future::poll_fn(|cx| application.poll_ready(cx)).await;
            let Ok(response) = application.call(request).await;
            let mut response = response.map(Body::other);
            let parked = response.extensions_mut().remove::<Parked>();
            match parked.filter(|_| response.status() == StatusCode::OK).and_then(Parked::take) {
                Some(mut stream) => {
                    stream.headers = std::mem::take(response.headers_mut());
                    Answer::Stream(stream)
                }
                None => Answer::Response(response),
            }
        })
    }
}

/// A request extension: the server of this hub waits for a parked stream.
#[derive(Clone)]
struct Awaited(Arc<State>);

/// A response extension: the event stream.
#[derive(Clone)]
struct Parked(Arc<Mutex<Option<Box<Stream>>>>);

impl Parked {
    fn response(stream: Box<Stream>) -> Response {
        let mut response = answer::empty(StatusCode::OK);
        *response.headers_mut() = stream.headers.clone();
        response.extensions_mut().insert(Self(Arc::new(Mutex::new(Some(stream)))));
        response
    }

    fn take(self) -> Option<Box<Stream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
