//! A hub in the router of an axum application, with the application's own users.
//!
//! ```sh
//! cargo run -p tidings-server --example axum            # the hub owns the listener
//! cargo run -p tidings-server --example axum -- mounted # the application owns it
//! curl -N -H 'x-user: ada' http://127.0.0.1:3000/hub/events/users/ada
//! curl -H 'x-user: ada' -d hello http://127.0.0.1:3000/hub/events/users/ada
//! ```
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tidings_engine::{Engine, EngineConfig};
use tidings_hub::{Epoch, Grant, Matcher, MemoryStore};
use tidings_server::{Config, HttpConfig, HubService, Server};

/// The application. Below `/hub` is the hub, with all its paths.
pub fn application(hub: HubService) -> Router {
    let hub = Router::new().fallback_service(hub).layer(middleware::from_fn(authorize));
    Router::new().route("/", get(|| async { "my application" })).nest("/hub", hub)
}

/// Who may do what is the application's business: here each user has the topics below its name.
async fn authorize(mut request: Request, next: Next) -> Response {
    let user = request.headers().get("x-user").and_then(|user| user.to_str().ok());
    let Some(own) = user.and_then(|user| Matcher::parse(&format!("users/{user}")).ok()) else {
        return (StatusCode::UNAUTHORIZED, "who are you?").into_response();
    };
    let grant = Grant { publish: vec![own.clone()], subscribe: vec![own], ..Grant::nothing() };
    request.extensions_mut().insert(Arc::new(grant));
    next.run(request).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Another epoch in each process, so that no id of the one before is taken for one of its own.
    let epoch = Epoch::from_random(RandomState::new().hash_one("log"));
    let store = MemoryStore::new(epoch, 64 << 20, Duration::from_secs(3600));
    let engine = Engine::start(Arc::new(store), EngineConfig::default())?;
    let address: SocketAddr = "127.0.0.1:3000".parse()?;
    println!("listening on http://{address}");
    if std::env::args().nth(1).as_deref() == Some("mounted") {
        // The application owns the listener; streams are response bodies.
        let hub = HubService::new(Config::default(), engine.clone())?;
        let listener = tokio::net::TcpListener::bind(address).await?;
        axum::serve(listener, application(hub)).await?;
    } else {
        // The hub owns it: TLS, limits, draining, and subscribers served by the engine itself.
        let config = HttpConfig {
            listen: vec![address],
            granted_by_application: true,
            ..HttpConfig::default()
        };
        let server = Server::bind(config, engine.clone())?;
        let shutdown_signal = std::future::pending(); // or a signal
        let application = application(server.service());
        server.serve_application(application, shutdown_signal).await;
    }
    engine.stop().await;
    Ok(())
}
