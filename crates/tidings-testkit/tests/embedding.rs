//! The hub inside an application, both ways, using the documentation's example.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidings_engine::{Engine, EngineConfig};
use tidings_hub::{Epoch, MemoryStore};
use tidings_server::{Config, HttpConfig, HubService, Server};
use tidings_testkit::http::{Connection, Response, request};
use tidings_testkit::server::is_portable;
use tokio::runtime::Runtime;

#[allow(dead_code, unreachable_pub)]
#[path = "../../tidings-server/examples/axum.rs"]
mod example;

/// The example's application, running.
struct Application {
    address: SocketAddr,
    runtime: Runtime,
    engine: Engine,
}

impl Application {
    /// The hub owns the listener; it has room for three connections besides those of subscribers: a
    /// client reads the end of an answer before the hub has given back its connection's room. (With
    /// the portable engine subscribers count too.)
    fn served_by_the_hub() -> Self {
        Self::start(|engine| {
            let config = HttpConfig {
                listen: vec![([127, 0, 0, 1], 0).into()],
                granted_by_application: true,
                connections_max: if is_portable() { 10 } else { 3 },
                ..HttpConfig::default()
            };
            let server = Server::bind(config, engine).unwrap();
            let address = server.local_addr();
            let application = example::application(server.service());
            tokio::spawn(server.serve_application(application, std::future::pending()));
            address
        })
    }

    /// The application owns the listener.
    fn serving_itself() -> Self {
        Self::start(|engine| {
            let hub = HubService::new(Config::default(), engine).unwrap();
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            tokio::spawn(async move {
                axum::serve(listener, example::application(hub)).await.unwrap();
            });
            address
        })
    }

    fn start(serve: impl FnOnce(Engine) -> SocketAddr) -> Self {
        let runtime = Runtime::new().unwrap();
        let store = MemoryStore::new(Epoch::from_random(7), 1 << 20, Duration::from_secs(60));
        let config = EngineConfig { portable: is_portable(), ..EngineConfig::default() };
        let engine = Engine::start(Arc::new(store), config).unwrap();
        let guard = runtime.enter();
        let address = serve(engine.clone());
        drop(guard);
        Self { address, runtime, engine }
    }

    fn send(&self, method: &str, target: &str, user: &str, body: &str) -> Connection {
        let mut connection = Connection::open(self.address);
        let mut headers = vec![("accept", "text/event-stream"), ("connection", "close")];
        if !user.is_empty() {
            headers.push(("x-user", user));
        }
        if method == "GET" {
            headers.pop_if(|(name, _)| *name == "connection");
        }
        connection.send(request(method, target, &headers, body.as_bytes()));
        connection
    }

    fn ask(&self, method: &str, target: &str, user: &str, body: &str) -> Response {
        self.send(method, target, user, body).response()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.runtime.block_on(self.engine.stop());
    }
}

#[test]
fn users_of_the_application_get_what_it_grants_them() {
    for application in [Application::served_by_the_hub(), Application::serving_itself()] {
        assert_eq!(application.ask("POST", "/hub/events/users/ada", "", "x").status(), 401);
        let foreign = application.ask("POST", "/hub/events/users/bob", "ada", "x");
        assert_eq!((foreign.status(), foreign.code().as_str()), (403, "not_granted"));
        assert_eq!(application.ask("DELETE", "/", "", "").status(), 405);

        let mut stream = application.send("GET", "/hub/events/users/ada", "ada", "");
        let head = stream.head();
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        let published = application.ask("POST", "/hub/events/users/ada", "ada", "hello");
        assert_eq!(published.status(), 200);
        // Whoever owns the listener, browsers take each answer of the hub for what it says it is.
        for head in [&foreign.head, &head, &published.head] {
            assert_eq!(head.header("x-content-type-options"), Some("nosniff"), "{head:?}");
        }
        assert!(stream.event().unwrap().ends_with("data: hello\n\n"));
    }
}

#[test]
fn subscribers_of_an_application_that_the_hub_serves_are_the_engines() {
    if is_portable() {
        return;
    }
    let application = Application::served_by_the_hub();
    // More of them than there is room for HTTP connections: subscribers do not take it.
    let mut streams: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = application.send("GET", "/hub/events/users/ada", "ada", "");
            assert_eq!(stream.head().status, 200);
            stream
        })
        .collect();
    assert_eq!(application.ask("POST", "/hub/events/users/ada", "ada", "hello").status(), 200);
    for stream in &mut streams {
        assert!(stream.event().unwrap().ends_with("data: hello\n\n"));
    }
}

#[test]
fn a_hub_whose_application_grants_nothing_rejects_every_request() {
    let application = Application::start(|engine| {
        let hub = HubService::new(Config::default(), engine).unwrap();
        let config =
            HttpConfig { listen: vec![([127, 0, 0, 1], 0).into()], ..HttpConfig::default() };
        let other = Engine::start(
            Arc::new(MemoryStore::new(Epoch::from_random(8), 1 << 20, Duration::from_secs(60))),
            EngineConfig::default(),
        );
        let server = Server::bind(config, other.unwrap()).unwrap();
        let address = server.local_addr();
        tokio::spawn(server.serve_application(hub, std::future::pending()));
        address
    });
    for method in ["GET", "POST", "DELETE"] {
        let refused = application.ask(method, "/events/a", "ada", "");
        assert_eq!((refused.status(), refused.code().as_str()), (401, "token_required"));
    }
}

#[test]
fn a_request_without_a_host_does_not_reach_an_application_that_the_hub_serves() {
    let bytes = "GET /hub/healthz HTTP/1.1\r\nx-user: ada\r\nconnection: close\r\n\r\n";
    let application = Application::served_by_the_hub();
    let mut connection = Connection::open(application.address);
    connection.send(bytes);
    let refused = connection.response();
    assert_eq!((refused.status(), refused.code().as_str()), (400, "invalid_host"));
    // For connections that an application serves, the application decides.
    let application = Application::serving_itself();
    let mut connection = Connection::open(application.address);
    connection.send(bytes);
    assert_eq!(connection.response().status(), 200);
}
