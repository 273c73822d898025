//! What answers the requests of one connection.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Version};
use hyper::body::{Body as _, Incoming};

use crate::activity::Activity;
use crate::answer::{Answer, NOSNIFF};
use crate::body::RequestBody;
use crate::client::Client;
use crate::handoff::Slot;
use crate::host;
use crate::mount::{self, Application};
use crate::quota::Full;
use crate::rebinding;
use crate::redirect;
use crate::response_body::Response;
use crate::routes;
use crate::shared::Shared;
use crate::state::State;
use crate::visit::Visit;

/// Answers the requests of one connection.
pub(crate) struct Service(Arc<Connection>);

/// What the requests of one connection share.
struct Connection {
    state: Arc<State>,
    activity: Arc<Activity>,
    /// Where an event stream asks for the socket; without it, streams are bodies.
    slot: Option<Arc<Slot>>,
    peer: IpAddr,
    is_secure: bool,
    excess: Option<Full>,
    redirect: Option<u16>,
    application: Option<Application>,
}

impl Service {
    pub(crate) fn new(
        shared: &Shared,
        activity: &Arc<Activity>,
        slot: Option<Arc<Slot>>,
        visit: &Visit,
    ) -> Self {
        let direct = shared.state.engine.takes_sockets();
        Self(Arc::new(Connection {
            state: Arc::clone(&shared.state),
            activity: Arc::clone(activity),
            slot: slot.filter(|_| direct),
            peer: visit.peer,
            is_secure: visit.is_secure,
            excess: visit.excess,
            redirect: visit.redirect,
            application: shared.application.clone(),
        }))
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let connection = Arc::clone(&self.0);
        Box::pin(async move { Ok(connection.respond(request).await) })
    }
}

impl Connection {
    async fn respond(&self, mut request: Request<Incoming>) -> Response {
        let busy = self.activity.begin();
        let version = request.version();
        let is_get = request.method() == Method::GET;
        let has_body = !request.body().is_end_stream();
        let connection_option = crate::stream::connection_option(version, request.headers());
        let client = self.client(request.headers());
        request.extensions_mut().insert(client);
        let host = host::check(version, request.uri(), request.headers())
            .and_then(|()| rebinding::check(&self.state.config, request.uri(), request.headers()));
        let is_last = self.excess.is_some() || host.is_err();
        let mut answer = match (host, self.redirect, &self.application) {
            (Err(problem), ..) => {
                let (parts, _) = request.into_parts();
                Answer::Response(routes::refuse(&self.state, &parts, problem))
            }
            (_, Some(port), _) => {
                Answer::Response(redirect::answer(&self.state.config, &request, port))
            }
            (_, None, Some(application)) => {
                mount::ask(application, &self.state, request.map(RequestBody::from)).await
            }
            (_, None, None) => routes::answer(&self.state, request.map(RequestBody::from)).await,
        };
        answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        let mut stream = match answer {
            Answer::Response(response) => {
                // Who is refused may not have been heard out, and nobody listens to the body of a
                // GET.
                if has_body && (is_get || !response.status().is_success()) {
                    self.activity.note_unread();
                }
                let mut response = response.map(|body| body.holding(busy));
                if is_last && version <= Version::HTTP_11 {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                return response;
            }
            Answer::Stream(stream) => stream,
        };
        stream.add_connection(connection_option);
        match &self.slot {
            // HTTP/1.0 knows no chunks.
            Some(slot) if version == Version::HTTP_11 => {
                slot.fill(stream);
                std::future::pending().await
            }
            _ => {
                let response = stream.into_response(&self.state.engine).await;
                response.map(|body| body.holding(busy))
            }
        }
    }

    /// Who sent a request with these headers.
    fn client(&self, headers: &HeaderMap) -> Client {
        let trusted = &self.state.config.trusted_proxies;
        let client = Client::new(self.peer, self.is_secure, headers, trusted);
        Client { excess: self.excess, ..client }
    }
}
