//! The service that answers the requests of one connection.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Version};
use hyper::body::{Body as _, Incoming};
use tidings_engine::Rejection;

use crate::accepted::Accepted;
use crate::activity::{Activity, Busy};
use crate::answer::{Answer, NOSNIFF};
use crate::body::RequestBody;
use crate::client::Client;
use crate::config::HttpConfig;
use crate::handler::Handler;
use crate::handoff::Slot;
use crate::host;
use crate::http2_body::Leftover;
use crate::limits::LINGER_MAX;
use crate::problem::{Linger, Problem};
use crate::rebinding;
use crate::redirect;
use crate::response_body::Response;
use crate::shared::Shared;
use crate::state::State;
use crate::stream::Stream;
use crate::tls::challenges;

/// Answers the requests of one connection.
pub(crate) struct Service(Arc<Connection>);

/// The same, where the next request may have its answer already.
pub(crate) struct Resumed {
    service: Service,
    answered: Cell<Option<Box<Response>>>,
}

/// What the requests of one connection share.
struct Connection {
    state: Arc<State>,
    handler: Arc<dyn Handler>,
    activity: Arc<Activity>,
    /// Where an event stream requests the socket; without it, streams are bodies.
    slot: Option<Arc<Slot>>,
    peer: IpAddr,
    is_secure: bool,
    excess: Option<Rejection>,
    redirect: Option<u16>,
    /// The `Host` of the first request that named it properly, and nothing else.
    host: OnceLock<HeaderValue>,
}

impl Service {
    pub(crate) fn new(
        shared: &Shared,
        activity: &Arc<Activity>,
        slot: Option<Arc<Slot>>,
        accepted: &Accepted,
    ) -> Self {
        let direct = shared.state.engine().takes_sockets();
        let connection = Connection {
            state: Arc::clone(&shared.state),
            handler: Arc::clone(&shared.handler),
            activity: Arc::clone(activity),
            slot: slot.filter(|_| direct),
            peer: accepted.peer,
            is_secure: accepted.is_secure,
            excess: accepted.excess,
            redirect: accepted.redirect,
            host: OnceLock::new(),
        };
        Self(Arc::new(connection))
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = Responding;

    fn call(&self, request: Request<Incoming>) -> Responding {
        let has_body = !request.body().is_end_stream();
        self.answer(request, has_body, RequestBody::received)
    }
}

impl Service {
    /// Answers a request that has come whole.
    pub(crate) fn answer_whole(&self, request: Request<Bytes>) -> Responding {
        let has_body = !request.body().is_empty();
        self.answer(request, has_body, |body, _| (RequestBody::whole(body), None))
    }

    /// Goes on with a request that has this answer, if there is one: the HTTP library reads it
    /// again, only to write the answer.
    pub(crate) fn resume(self, answer: Option<Response>) -> Resumed {
        Resumed { service: self, answered: Cell::new(answer.map(Box::new)) }
    }

    /// Answers a request whose body the handler gets as `received` makes it.
    fn answer<B>(
        &self,
        mut request: Request<B>,
        has_body: bool,
        received: impl FnOnce(B, Version) -> (RequestBody, Option<Leftover>),
    ) -> Responding {
        let connection = Arc::clone(&self.0);
        let state = &connection.state;
        let busy = connection.activity.begin();
        let client = connection.client(request.headers());
        request.extensions_mut().insert(client);
        let config = state.config();
        let host = connection.check_host(config, &request);
        let mut asked = Asked::by(&request, has_body);
        asked.is_last = connection.excess.is_some() || host.is_err();
        let mut leftover = None;
        let answer = match (challenge(config, &request), host, connection.redirect) {
            (Some(answer), ..) => answer,
            (_, Err(problem), _) => {
                let (parts, _) = request.into_parts();
                now(state.refuse(&parts, problem))
            }
            (.., Some(port)) => now(redirect::answer(state.config(), &request, port)),
            (.., None) => {
                let (parts, body) = request.into_parts();
                let (body, rest) = received(body, parts.version);
                leftover = rest;
                let request = Request::from_parts(parts, body);
                Arc::clone(&connection.handler).handle(request)
            }
        };
        let waits_for = Awaited::Answer(answer);
        Responding { connection, busy: Some(busy), asked, leftover, waits_for }
    }
}

impl hyper::service::Service<Request<Incoming>> for Resumed {
    type Response = Response;
    type Error = Infallible;
    type Future = Responding;

    fn call(&self, request: Request<Incoming>) -> Responding {
        let Some(answer) = self.answered.take() else { return self.service.call(request) };
        Responding {
            connection: Arc::clone(&self.service.0),
            busy: None,
            asked: Asked::by(&request, false),
            leftover: None,
            waits_for: Awaited::Body(Box::pin(std::future::ready(*answer))),
        }
    }
}

/// The answer to a challenge of the authority that issues certificates, whatever its host is
/// called: it may come to any name of the hub, and where it was redirected.
fn challenge<B>(config: &HttpConfig, request: &Request<B>) -> Option<Boxed<Answer>> {
    let challenges = config.tls.as_ref()?.challenges()?;
    let token = challenges::token(request.method(), request.uri())?;
    let answer = challenges::respond(Arc::clone(challenges), token.to_owned());
    Some(Box::pin(async move { Answer::Response(answer.await) }))
}

fn now(response: Response) -> Boxed<Answer> {
    Box::pin(std::future::ready(Answer::Response(response)))
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A request that is being answered. (Written by hand: HTTP/1.1 requires a future that can be
/// moved, and an `async` block around the handler's would cost a second box per request.)
pub(crate) struct Responding {
    connection: Arc<Connection>,
    busy: Option<Busy>,
    asked: Asked,
    /// Over HTTP/2, what is not read of the body.
    leftover: Option<Leftover>,
    waits_for: Awaited,
}

/// What the way out of an answer depends on in its request.
struct Asked {
    version: Version,
    is_get: bool,
    has_body: bool,
    /// No further request of this connection is answered.
    is_last: bool,
    connection_option: Option<HeaderValue>,
}

impl Asked {
    fn by<B>(request: &Request<B>, has_body: bool) -> Self {
        let version = request.version();
        Self {
            version,
            is_get: request.method() == Method::GET,
            has_body,
            is_last: false,
            connection_option: crate::stream::connection_option(version, request.headers()),
        }
    }
}

enum Awaited {
    Answer(Boxed<Answer>),
    /// The shard that will feed the body.
    Body(Boxed<Response>),
    /// The end of this connection here: its socket now belongs to the stream.
    Nothing,
}

impl Future for Responding {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.waits_for {
                Awaited::Answer(answer) => match std::task::ready!(answer.as_mut().poll(cx)) {
                    Answer::Response(response) => {
                        return Poll::Ready(Ok(this.finish(response)));
                    }
                    Answer::Stream(stream) => this.begin(stream),
                },
                Awaited::Body(response) => {
                    let response = std::task::ready!(response.as_mut().poll(cx));
                    return Poll::Ready(Ok(this.hold(response)));
                }
                Awaited::Nothing => return Poll::Pending,
            }
        }
    }
}

impl Responding {
    /// Finishes a whole response.
    fn finish(&mut self, mut response: Response) -> Response {
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        let Asked { version, is_get, has_body, is_last, .. } = self.asked;
        let linger = response.extensions_mut().remove::<Linger>();
        let linger_max = linger.map_or(LINGER_MAX, |linger| linger.0);
        if let Some(leftover) = self.leftover.take() {
            leftover.read_on_for(linger_max);
        }
        // A rejected request, or a GET, may leave its body unread.
        if has_body && (is_get || !response.status().is_success()) {
            self.connection.activity.note_unread(linger_max);
        }
        // The library says so, too, but not if it has its answer before it learns of the shutdown.
        let ends = is_last || linger.is_some() || self.connection.state.is_leaving();
        if ends && version <= Version::HTTP_11 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        self.hold(response)
    }

    /// Begins an event stream: on the socket if that is possible, otherwise as a body.
    fn begin(&mut self, mut stream: Box<Stream>) {
        stream.headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        stream.add_connection(self.asked.connection_option.take());
        self.waits_for = match &self.connection.slot {
            // HTTP/1.0 has no chunks.
            Some(slot) if self.asked.version == Version::HTTP_11 => {
                slot.fill(stream);
                Awaited::Nothing
            }
            _ => {
                let state = Arc::clone(&self.connection.state);
                Awaited::Body(Box::pin(async move { stream.into_response(state.engine()).await }))
            }
        };
    }

    /// The connection is busy until the response is sent.
    fn hold(&mut self, response: Response) -> Response {
        match self.busy.take() {
            Some(busy) => response.map(|body| body.holding(busy)),
            None => response,
        }
    }
}

impl Connection {
    /// Checks the host that a request names. The requests of a connection usually name the same
    /// one, which need not be checked again.
    fn check_host<B>(&self, config: &HttpConfig, request: &Request<B>) -> Result<(), Problem> {
        let (uri, headers) = (request.uri(), request.headers());
        let mut named = headers.get_all(header::HOST).iter();
        let only = named.next().filter(|_| named.next().is_none() && uri.authority().is_none());
        if only.is_some() && only == self.host.get() {
            return Ok(());
        }
        host::check(request.version(), uri, headers)?;
        rebinding::check(config, self.state.is_open(), uri, headers)?;
        if let Some(host) = only {
            // Another request of the connection may have been quicker.
            let _ = self.host.set(host.clone());
        }
        Ok(())
    }

    /// The client that sent a request with these headers.
    fn client(&self, headers: &HeaderMap) -> Client {
        let trusted = &self.state.config().trusted_proxies;
        let client = Client::new(self.peer, self.is_secure, headers, trusted);
        Client { excess: self.excess, ..client }
    }
}
