//! A real server on its own port, in this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidings_engine::{Engine, EngineConfig};
use tidings_hub::{Epoch, Log, MemoryStore, Wire};
use tidings_server::{Config, HttpConfig, Server};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::http::{Connection, Response, request};

/// The name of the log of every [`TestServer`] without a given store.
pub const EPOCH: &str = "k7q2ma";

/// The configuration of a [`TestServer`].
pub struct Builder {
    config: Config,
    engine: EngineConfig,
    store: Arc<dyn Log>,
    wire: Option<Arc<dyn Wire>>,
}

impl Builder {
    /// Changes the server's configuration.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Changes the engine's configuration.
    #[must_use]
    pub fn engine(mut self, change: impl FnOnce(&mut EngineConfig)) -> Self {
        change(&mut self.engine);
        self
    }

    /// Uses `store` instead of one in memory.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Log>) -> Self {
        self.store = store;
        self
    }

    /// Connects it with other hubs.
    #[must_use]
    pub fn wire(mut self, wire: Arc<dyn Wire>) -> Self {
        self.wire = Some(wire);
        self
    }

    /// Uses a log in memory with another name.
    #[must_use]
    pub fn epoch(self, epoch: &str) -> Self {
        self.store(memory(epoch))
    }

    /// Starts it.
    pub fn start(self) -> TestServer {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let engine = Engine::start(self.store, self.engine).expect("an engine");
        let server = Server::bind(self.config, engine.clone()).expect("a server");
        if let Some(wire) = self.wire {
            server.join(wire);
        }
        let address = server.local_addr();
        let (shutdown, asked) = oneshot::channel();
        let task = runtime.spawn(server.serve(async {
            let _ = asked.await; // dropped means the same
        }));
        TestServer {
            address,
            engine,
            runtime: Some(runtime),
            shutdown: Some(shutdown),
            task: Some(task),
        }
    }
}

/// A server that runs until it is dropped.
pub struct TestServer {
    address: SocketAddr,
    engine: Engine,
    runtime: Option<Runtime>,
    shutdown: Option<oneshot::Sender<()>>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl TestServer {
    /// An open server with a log in memory.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A server for each way by which an event stream leaves it: sockets that the engine writes,
    /// and bodies that the HTTP library writes.
    pub fn both_engines() -> [Self; 2] {
        [false, true].map(|portable| Self::builder().engine(|c| c.portable = portable).start())
    }

    /// A builder for a server with other settings.
    pub fn builder() -> Builder {
        Builder {
            config: Config::from(HttpConfig {
                listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
                drain_window: Duration::ZERO,
                drain_max: Duration::from_secs(5),
                // As the program runs. With two, a crowd is on both.
                request_threads: 2,
                ..HttpConfig::default()
            }),
            engine: EngineConfig { seed: 1, portable: is_portable(), ..EngineConfig::default() },
            store: memory(EPOCH),
            wire: None,
        }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// An absolute URL.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The engine behind it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A new connection.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Sends one request on a new connection. Returns the complete answer.
    pub fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Response {
        let mut connection = self.connect();
        connection.send(request(method, target, headers, body.as_ref()));
        connection.response()
    }

    /// `GET`, as JSON.
    pub fn get_json(&self, target: &str) -> Response {
        self.request("GET", target, &[("accept", "application/json")], "")
    }

    /// `POST`s a text.
    pub fn post(&self, target: &str, body: impl AsRef<[u8]>) -> Response {
        self.request("POST", target, &[], body)
    }

    /// Publishes an event, which must be taken: to a topic, and with a query.
    pub fn put(&self, target: &str, data: &str) {
        let answer = self.post(&format!("/events/{target}"), data);
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }

    /// Removes a key, or ends a topic, which must be there.
    pub fn remove(&self, target: &str) {
        let answer = self.request("DELETE", &format!("/events/{target}"), &[], "");
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }

    /// Subscribes as a browser would, and reads the head of the answer.
    pub fn subscribe(&self, target: &str, headers: &[(&str, &str)]) -> Connection {
        let mut connection = self.connect();
        let mut all = vec![("accept", "text/event-stream"), ("cache-control", "no-cache")];
        all.extend_from_slice(headers);
        connection.send(request("GET", target, &all, b""));
        let head = connection.head();
        assert_eq!(head.status, 200, "{head:?}");
        connection
    }

    /// Shuts the server down, and waits until it has ended.
    pub fn stop(mut self) {
        self.leave();
    }

    fn leave(&mut self) {
        drop(self.shutdown.take());
        if let (Some(runtime), Some(task)) = (self.runtime.take(), self.task.take()) {
            let engine = self.engine.clone();
            runtime.block_on(async {
                let _ = task.await;
                engine.stop().await;
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.leave();
    }
}

fn memory(epoch: &str) -> Arc<dyn Log> {
    let epoch = Epoch::parse(epoch).expect("a valid epoch");
    Arc::new(MemoryStore::new(epoch, 64 << 20, Duration::from_secs(3600)))
}

/// Whether `TIDINGS_TEST_ENGINE=portable` is set: then subscribers are served through response
/// bodies, as on systems where workers cannot own sockets. The end-to-end tests pass either way.
pub fn is_portable() -> bool {
    std::env::var_os("TIDINGS_TEST_ENGINE").is_some_and(|engine| engine == "portable")
}
