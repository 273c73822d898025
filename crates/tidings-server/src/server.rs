use std::convert::Infallible;
use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use tidings_engine::Engine;
#[cfg(doc)]
use tidings_http::HttpConfig;
use tidings_http::HttpServer;
use tidings_http::body::RequestBody;
use tidings_http::error::BindError;
use tidings_http::mount::Mounted;
use tidings_hub::Wire;
use tokio::task::JoinHandle;
use tower_service::Service;

use crate::config::Config;
use crate::faces;
use crate::hub_service::HubService;
use crate::hubs::answer;
use crate::routes::Routes;

/// The HTTP face of a hub: bound to its addresses, and not yet serving.
pub struct Server {
    http: HttpServer,
    routes: Arc<Routes>,
}

impl Server {
    /// Binds the addresses of `config`. From here on the system lets clients connect; they are
    /// answered once [`serve`](Self::serve) runs.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub fn bind(config: impl Into<Config>, engine: Engine) -> Result<Self, BindError> {
        Self::bind_with(config, engine, Vec::new())
    }

    /// The same with sockets that are bound and listening already, such as those that a supervisor
    /// keeps over a restart. The address of each must be among those of `config`.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub fn bind_with(
        config: impl Into<Config>,
        engine: Engine,
        bound: Vec<TcpListener>,
    ) -> Result<Self, BindError> {
        let config = config.into();
        config.check()?;
        let faces = faces::of(&config);
        let has_face_keys = faces.iter().any(|face| face.has_keys());
        let http = HttpServer::bind(config.http.clone(), has_face_keys, engine, bound)?;
        let routes = Arc::new(Routes::new(Arc::clone(http.state()), faces, &config));
        Ok(Self { http, routes })
    }

    /// The addresses listened on, in the order of the configuration, with the ports that the system
    /// chose.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.http.local_addrs()
    }

    /// The addresses that only redirect, in the form of [`local_addrs`](Self::local_addrs).
    pub fn redirect_addrs(&self) -> Vec<SocketAddr> {
        self.http.redirect_addrs()
    }

    /// The first of [`local_addrs`](Self::local_addrs).
    pub fn local_addr(&self) -> SocketAddr {
        self.http.local_addrs()[0]
    }

    /// Connects the hub with the others on the same log, over `wire`: what one of them is asked
    /// about subscribers is then answered for all, and an operator reaches those of every hub.
    pub fn join(&self, wire: Arc<dyn Wire>) {
        self.http.state().join(wire);
    }

    /// The hub as a service, to be mounted in the router of an application that is then
    /// [served](Self::serve_application).
    pub fn service(&self) -> HubService {
        HubService::of(Arc::clone(&self.routes), Arc::clone(self.http.state()))
    }

    /// As [`serve`](Self::serve), with an application that answers all requests: a router in which
    /// [`service`](Self::service) is mounted. The hub loses nothing by that: subscribers over
    /// HTTP/1.1 go to the engine with their sockets. Layers of the application may reject requests
    /// and add headers; they do not see the body of an event stream. Upgrades to other protocols
    /// are not possible.
    pub async fn serve_application<S, B>(self, application: S, shutdown: impl Future<Output = ()>)
    where
        S: Service<Request<RequestBody>, Response = http::Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
        B: Send + 'static,
    {
        let mounted = Mounted::new(application, Arc::clone(self.http.state()));
        let hubs = Self::talk(self.routes);
        self.http.serve(Arc::new(mounted), shutdown).await;
        hubs.await;
    }

    /// Serves until `shutdown` is ready, then shuts down: accepts no more connections, lets the
    /// engine ask its subscribers to come back ([`HttpConfig::drain_window`]), finishes requests in
    /// progress, and cuts the remaining connections after [`HttpConfig::drain_max`]. The engine is
    /// drained, but not stopped.
    ///
    /// Must run on a tokio runtime with its I/O and timers enabled.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let hubs = Self::talk(Arc::clone(&self.routes));
        self.http.serve(self.routes, shutdown).await;
        hubs.await;
    }

    /// Talks with the other hubs until the result is awaited.
    fn talk(routes: Arc<Routes>) -> impl Future<Output = ()> {
        let hubs = routes.state().hubs().cloned();
        let talking = hubs.is_some().then(|| AbortOnDrop(tokio::spawn(answer::run(routes))));
        async move {
            drop(talking);
            if let Some(hubs) = hubs {
                hubs.leave();
            }
        }
    }
}

/// A task that ends with what it is for, also when that is dropped.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("http", &self.http).finish_non_exhaustive()
    }
}
