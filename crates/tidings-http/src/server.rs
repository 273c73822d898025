use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tidings_engine::Engine;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::accepted::ListenerKind;
use crate::config::HttpConfig;
use crate::error::BindError;
use crate::handler::Handler;
use crate::listener::Listener;
use crate::request_threads::{RequestThreads, Running};
use crate::room::Room;
use crate::shared::{Protocols, Shared};
use crate::stage::Stage;
use crate::state::State;

/// An HTTP server in front of an engine: bound to its addresses, and not yet serving.
pub struct HttpServer {
    listeners: Vec<Listener>,
    redirects: Vec<Listener>,
    state: Arc<State>,
    protocols: Protocols,
    room: Arc<Room>,
    stage: watch::Sender<Stage>,
}

impl HttpServer {
    /// Binds the addresses of `config`. From here on the system lets clients connect; they are
    /// answered once [`serve`](Self::serve) runs. `bound` are sockets that are bound and listening
    /// already; each stands for its own address. `has_face_keys` says whether a protocol has keys
    /// of its own.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub fn bind(
        config: HttpConfig,
        has_face_keys: bool,
        engine: Engine,
        mut bound: Vec<TcpListener>,
    ) -> Result<Self, BindError> {
        config.check(has_face_keys)?;
        let all: Vec<_> = config.listen.iter().chain(&config.redirect).copied().collect();
        let kind = match &config.tls {
            Some(tls) => ListenerKind::Tls(Arc::clone(tls.config()).into()),
            None => ListenerKind::Plain,
        };
        let mut bind = |address: &SocketAddr| {
            let same = |one: &TcpListener| one.local_addr().is_ok_and(|bound| bound == *address);
            match bound.iter().position(same) {
                Some(place) => Listener::adopt(bound.swap_remove(place), *address, kind.clone()),
                None => Listener::bind(*address, &all, kind.clone()),
            }
        };
        let listeners = config.listen.iter().map(&mut bind).collect::<Result<Vec<_>, _>>()?;
        let kind = ListenerKind::Redirect { port: listeners[0].local_addr().port() };
        let bind = |address: &SocketAddr| Listener::bind(*address, &all, kind.clone());
        let redirects = config.redirect.iter().map(bind).collect::<Result<_, _>>()?;
        let stage = watch::Sender::new(Stage::Serving);
        let protocols = Protocols::new(&config, engine.takes_sockets());
        let room = Arc::new(Room::new(config.connections_max));
        let state = Arc::new(State::new(engine, config, has_face_keys, stage.subscribe()));
        Ok(Self { listeners, redirects, state, protocols, room, stage })
    }

    /// The state that the requests of this server share.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// The addresses listened on, in the order of the configuration, with the ports that the system
    /// chose.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(Listener::local_addr).collect()
    }

    /// The addresses that only redirect, in the form of [`local_addrs`](Self::local_addrs).
    pub fn redirect_addrs(&self) -> Vec<SocketAddr> {
        self.redirects.iter().map(Listener::local_addr).collect()
    }

    /// Answers requests with `handler` until `shutdown` is ready, then shuts down: accepts no more
    /// connections, lets the engine ask its subscribers to come back
    /// ([`HttpConfig::drain_window`]), finishes requests in progress, and cuts the remaining
    /// connections after [`HttpConfig::drain_max`]. The engine is drained, but not stopped.
    ///
    /// Must run on a tokio runtime with its I/O and timers enabled.
    pub async fn serve(self, handler: Arc<dyn Handler>, shutdown: impl Future<Output = ()>) {
        let Self { listeners, redirects, state, protocols, room, stage } = self;
        let (threads, running) = start_threads(&state).unzip();
        let threads = threads.map(Arc::new);
        let shared = Shared { state, handler, protocols: Arc::new(protocols), room, threads };
        shared.state.start_notifying();
        let mut accepting = JoinSet::new();
        for listener in listeners.into_iter().chain(redirects) {
            match listener.start() {
                Ok(listener) => {
                    accepting.spawn(listener.run(shared.clone()));
                }
                Err(error) => tracing::error!(%error, "cannot serve an address"),
            }
        }
        shutdown.await;

        accepting.shutdown().await;
        stage.send_replace(Stage::Leaving);
        let config = shared.state.config();
        let left = tokio::time::timeout(config.drain_max, async {
            shared.state.engine().drain(config.drain_window).await;
            shared.room.emptied().await;
        });
        if left.await.is_err() {
            let cut = shared.room.connections();
            tracing::warn!(connections = cut, "connections did not end in time and are cut");
        }
        shared.state.finish_notifying().await;
        stage.send_replace(Stage::Gone);
        if let Some(running) = running {
            let left = running.ended().await;
            if !left.is_empty() {
                let threads = left.join(", ");
                tracing::warn!(threads, "requests block their threads, which are left behind");
            }
        }
    }
}

/// The threads to which HTTP/1.1 connections move. Not where their event streams stay with the HTTP
/// library: these need all the threads that there are.
fn start_threads(state: &Arc<State>) -> Option<(RequestThreads, Running)> {
    let count = state.config().request_threads;
    if count == 0 || !state.engine().takes_sockets() {
        return None;
    }
    let started = RequestThreads::start(count, || state.reached(Stage::Gone));
    started.inspect_err(|error| tracing::warn!(%error, "cannot start threads for requests")).ok()
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (listeners, redirects) = (&self.listeners, &self.redirects);
        let mut out = f.debug_struct("HttpServer");
        out.field("listeners", listeners).field("redirects", redirects).finish_non_exhaustive()
    }
}
