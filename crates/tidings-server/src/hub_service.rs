use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use tidings_engine::Engine;
#[cfg(doc)]
use tidings_http::HttpConfig;
use tidings_http::error::{BoxError, ConfigError};
use tidings_http::mount::HandlerService;
use tidings_http::response_body::Response;
use tidings_http::state::State;
use tower_service::Service;

use crate::config::Config;
use crate::faces;
use crate::routes::Routes;

/// The hub as a service, for the router of an application. Clones refer to the same hub.
///
/// The application authorizes a request with an `Arc<Grant>` in its extensions; a request without
/// one is authorized by its token, as by a [`Server`](crate::Server). An application that knows its
/// users by cookies must itself keep pages of foreign origins from publishing.
#[derive(Clone, Debug)]
pub struct HubService(HandlerService);

impl HubService {
    /// A hub for an application that serves connections itself. The parts of `config` about
    /// listening and connections have no effect; without keys, and unless it is
    /// [open](HttpConfig::open), only the grants of the application count. When the application
    /// shuts down, it drains the engine.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn new(config: impl Into<Config>, engine: Engine) -> Result<Self, ConfigError> {
        let mut config = config.into();
        let faces = faces::of(&config);
        let has_face_keys = faces.iter().any(|face| face.has_keys());
        config.http.granted_by_application |= !(config.http.has_keys() || has_face_keys);
        config.check()?;
        let state = Arc::new(State::without_server(engine, config.http.clone(), has_face_keys));
        Ok(Self::of(Arc::new(Routes::new(Arc::clone(&state), faces, &config)), state))
    }

    /// The hub that answers by `routes` from `state`.
    pub(crate) fn of(routes: Arc<Routes>, state: Arc<State>) -> Self {
        Self(HandlerService::new(routes, state))
    }
}

impl<B> Service<Request<B>> for HubService
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
        self.0.call(request)
    }
}
