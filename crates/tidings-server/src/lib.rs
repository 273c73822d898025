//! The Tidings hub over HTTP: the native API and the protocols beside it, in front of an
//! [`Engine`](tidings_engine::Engine).
//!
//! ```
//! use std::hash::{BuildHasher, RandomState};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use tidings_engine::{Engine, EngineConfig};
//! use tidings_hub::{Epoch, MemoryStore};
//! use tidings_server::{HttpConfig, Server};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let epoch = Epoch::from_random(RandomState::new().hash_one("log"));
//! let store = MemoryStore::new(epoch, 64 << 20, Duration::from_secs(3600));
//! let engine = Engine::start(Arc::new(store), EngineConfig::default())?;
//! let config = HttpConfig { listen: vec!["127.0.0.1:0".parse()?], ..HttpConfig::default() };
//! let server = Server::bind(config, engine.clone())?;
//! println!("listening on {}", server.local_addr());
//! # let shutdown = std::future::ready(());
//! server.serve(shutdown).await;
//! engine.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # In an application
//!
//! The hub is also a [`tower` service](HubService), for a router of an application that has paths
//! and users of its own. The application puts the rights of a user into the request:
//!
//! ```
//! use axum::{Router, extract::Request, middleware, routing::get};
//! use std::sync::Arc;
//! use tidings_hub::{Grant, Matcher};
//! use tidings_server::HubService;
//!
//! fn application(hub: HubService) -> Router {
//!     let hub = Router::new().fallback_service(hub).layer(middleware::map_request(authorize));
//!     Router::new().route("/", get(|| async { "my application" })).nest("/hub", hub)
//! }
//!
//! async fn authorize(mut request: Request) -> Request {
//!     let news = vec![Matcher::parse("news/**").expect("a pattern")];
//!     let grant = Grant { subscribe: news, ..Grant::nothing() };
//!     request.extensions_mut().insert(Arc::new(grant));
//!     request
//! }
//! ```
//!
//! Pass it to [`Server::serve_application`] with [`Server::service`] inside to keep everything:
//! TLS, limits, draining, and subscribers whose sockets the engine takes. Or serve it yourself with
//! [`HubService::new`]: then streams are response bodies, with the memory cost that your HTTP
//! server has for them. `examples/axum.rs` does both.
//!
//! # A request travels
//!
//! [tidings-http](tidings_http) turns what a socket sends into requests. [routes] is the URL map;
//! it identifies the sender of a request to the API, and hands a
//! [`RequestContext`](request::RequestContext) to the verb: a file in [native] or [admin] that
//! reads the request, checks the caller's grant, and gives an answer. Protocols beside the native
//! API are [faces].
//!
//! # What this crate refuses to know
//!
//! Which store there is, where settings come from (a [`Config`] arrives complete), and how events
//! reach subscribers.
#![allow(rustdoc::private_intra_doc_links)]

mod admin;
mod check;
mod config;
mod faces;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
mod hub_service;
mod hubs;
pub mod limits;
mod link_query;
mod links;
mod log_limit;
mod native;
mod request;
mod route;
mod route_counts;
mod routes;
mod server;
mod session;
mod store_problem;
mod to_end;
mod token_report;

pub use config::Config;
pub use hub_service::HubService;
pub use server::Server;
pub use tidings_http::authorize::{Action as AuthorizeAction, OnFailure};
pub use tidings_http::limits::LEEWAY_MAX;
pub use tidings_http::retry_after::retry_after;
pub use tidings_http::{
    AllowedHosts, ApiKey, AuthorizeRule, BindError, Body, CertificateFacts, ChallengeCertificate,
    Challenges, ConfigError, Cors, Denials, Face, HttpConfig, IssuedAs, JwtKey, KeyLimits, Link,
    LinkKey, NotifyReceiver, NotifySecrets, Peer, Renewals, RequestBody, RevokedSessions, Sessions,
    TicketKeys, TicketKeysError, Tls, TlsError, TrustedProxies, Validity,
};
#[cfg(feature = "mercure")]
pub use tidings_mercure::{
    MercureConfig, MercureIssuer, MercureKeys, MercureResource, PublishOrigins,
};
pub use token_report::{TokenReport, TokenUse, TokenVerdict};

/// The examples in the README are tests, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
