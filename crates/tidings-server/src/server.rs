use std::convert::Infallible;
use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use tidings_engine::Engine;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_service::Service;

use crate::body::RequestBody;
use crate::config::Config;
use crate::error::BindError;
use crate::listener::Listener;
use crate::mount::{self, HubService};
use crate::room::Room;
use crate::shared::{Protocols, Shared};
use crate::stage::Stage;
use crate::state::State;
use crate::visit::Door;

/// The HTTP face of a hub: bound to its addresses, and not yet serving.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    redirects: Vec<Listener>,
    shared: Shared,
    stage: watch::Sender<Stage>,
}

impl Server {
    /// Binds the addresses of `config`. From here on the system lets clients connect; they are
    /// answered once [`serve`](Self::serve) runs.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub fn bind(config: Config, engine: Engine) -> Result<Self, BindError> {
        Self::bind_with(config, engine, Vec::new())
    }

    /// The same with sockets that somebody else has bound and listens on, such as a supervisor that
    /// keeps them over a restart. Each stands for its own address, which must be among those of
    /// `config`.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub fn bind_with(
        config: Config,
        engine: Engine,
        mut bound: Vec<TcpListener>,
    ) -> Result<Self, BindError> {
        config.check()?;
        let all: Vec<_> = config.listen.iter().chain(&config.redirect).copied().collect();
        let door = match &config.tls {
            Some(tls) => Door::Tls(Arc::clone(tls.config()).into()),
            None => Door::Plain,
        };
        let mut bind = |address: &SocketAddr| {
            let same = |one: &TcpListener| one.local_addr().is_ok_and(|bound| bound == *address);
            match bound.iter().position(same) {
                Some(place) => Listener::adopt(bound.swap_remove(place), *address, door.clone()),
                None => Listener::bind(*address, &all, door.clone()),
            }
        };
        let listeners = config.listen.iter().map(&mut bind).collect::<Result<Vec<_>, _>>()?;
        let door = Door::Redirect { port: listeners[0].local_addr().port() };
        let bind = |address: &SocketAddr| Listener::bind(*address, &all, door.clone());
        let redirects = config.redirect.iter().map(bind).collect::<Result<_, _>>()?;
        let stage = watch::Sender::new(Stage::Serving);
        let protocols = Protocols::new(&config, engine.takes_sockets());
        let room = Room::new(config.connections_max);
        let state = State::new(engine, config, stage.subscribe());
        let shared = Shared {
            state: Arc::new(state),
            application: None,
            protocols: Arc::new(protocols),
            room: Arc::new(room),
        };
        Ok(Self { listeners, redirects, shared, stage })
    }

    /// The addresses listened on, in the order of the configuration, with the ports that the system
    /// chose.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(Listener::local_addr).collect()
    }

    /// The addresses from which everybody is sent on, as [`local_addrs`](Self::local_addrs).
    pub fn redirect_addrs(&self) -> Vec<SocketAddr> {
        self.redirects.iter().map(Listener::local_addr).collect()
    }

    /// The first of [`local_addrs`](Self::local_addrs).
    pub fn local_addr(&self) -> SocketAddr {
        self.listeners[0].local_addr()
    }

    /// The hub as a service, to be mounted in the router of an application that is then
    /// [served](Self::serve_application).
    pub fn service(&self) -> HubService {
        HubService::of(&self.shared.state)
    }

    /// As [`serve`](Self::serve), with an application that answers all requests: a router in which
    /// [`service`](Self::service) is mounted. Nothing of the hub is lost by that: subscribers over
    /// HTTP/1.1 go to the engine with their sockets. Layers of the application may refuse requests
    /// and add headers; they do not see the body of an event stream. Upgrades to other protocols
    /// are not possible.
    pub async fn serve_application<S, B>(
        mut self,
        application: S,
        shutdown: impl Future<Output = ()>,
    ) where
        S: Service<Request<RequestBody>, Response = http::Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
        B: Send + 'static,
    {
        self.shared.application = Some(mount::application(application));
        self.serve(shutdown).await;
    }

    /// Serves until `shutdown` is ready, then leaves: takes no more connections, lets the engine
    /// tell its subscribers to come back ([`Config::drain_window`]), lets begun requests end, and
    /// cuts what is left after [`Config::drain_max`]. The engine is drained, but not stopped.
    ///
    /// Must run on a tokio runtime with its I/O and timers enabled.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { listeners, redirects, shared, stage } = self;
        let mut accepting = JoinSet::new();
        for listener in listeners.into_iter().chain(redirects) {
            match listener.start() {
                Ok(listener) => {
                    accepting.spawn(listener.run(shared.clone()));
                }
                Err(error) => tracing::error!(%error, "an address cannot be served"),
            }
        }
        shutdown.await;

        accepting.shutdown().await;
        stage.send_replace(Stage::Leaving);
        let config = &shared.state.config;
        let left = tokio::time::timeout(config.drain_max, async {
            shared.state.engine.drain(config.drain_window).await;
            shared.room.emptied().await;
        });
        if left.await.is_err() {
            let cut = shared.room.connections();
            tracing::warn!(connections = cut, "not everybody left in time; they are cut off");
        }
        stage.send_replace(Stage::Gone);
    }
}
