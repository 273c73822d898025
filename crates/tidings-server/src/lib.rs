//! The HTTP face of the Tidings hub: everything between a socket and the
//! [`Engine`](tidings_engine::Engine).
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use tidings_engine::{Engine, EngineConfig};
//! use tidings_hub::{Epoch, MemoryStore};
//! use tidings_server::{HttpConfig, Server};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new(Epoch::from_random(7), 64 << 20, Duration::from_secs(3600));
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
//! and users of its own. What a user may do, the application puts into the request:
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
//! Give it to [`Server::serve_application`] with [`Server::service`] inside, and nothing is lost:
//! TLS, limits, draining, and subscribers whose sockets the engine takes. Or serve it yourself with
//! [`HubService::new`]: then streams are response bodies, at the price in memory that your HTTP
//! server has for them. `examples/axum.rs` does both.
//!
//! # A request travels
//!
//! A [listener] accepts the connection; [connection] finds out which HTTP is spoken and
//! lets hyper parse; [routes] is the URL map; a file in [native] per verb reads the request, checks
//! the caller's [grant](auth), and gives an [answer]. An answer that is an event stream leaves by
//! one of two ways with the same headers: over HTTP/1.1 the socket is [handed](handoff) to the
//! engine; else the engine feeds a response body.
//!
//! # What this crate refuses to know
//!
//! Which store there is, where settings come from (a [`Config`] arrives complete), and how events
//! reach subscribers.
#![allow(rustdoc::private_intra_doc_links)]

mod activity;
mod admin;
mod allowed_hosts;
mod answer;
mod auth;
mod body;
mod check;
mod client;
mod clock;
mod config;
mod connection;
mod control_frames;
mod cors;
mod counts;
mod error;
mod event_retry;
mod face;
mod faces;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
mod handler;
mod handoff;
mod headers;
mod host;
mod hub;
mod hub_config;
mod hub_service;
mod key_share;
mod limiter;
pub mod limits;
mod listener;
mod log_limit;
mod mercure;
mod meter;
mod mount;
mod native;
mod origin;
mod problem;
mod query;
mod quota;
mod quota_key;
mod rebinding;
mod redirect;
mod response_body;
mod room;
mod route;
mod route_counts;
mod routes;
mod sendable_id;
mod server;
mod service;
mod shared;
mod socket;
mod stage;
mod state;
mod store_problem;
mod stream;
mod stream_room;
mod tls;
mod trace;
mod visit;
mod whole_body;

pub use allowed_hosts::AllowedHosts;
pub use auth::{ApiKey, JwtKey};
pub use body::RequestBody;
pub use client::TrustedProxies;
pub use config::HttpConfig;
pub use cors::Cors;
pub use error::{BindError, ConfigError};
pub use hub::Server;
pub use hub_config::Config;
pub use hub_service::HubService;
pub use key_share::KeyLimits;
pub use mercure::{
    MercureConfig, MercureIssuer, MercureKeys, MercureResource, PublishOrigins, TokenReport,
    TokenUse, TokenVerdict,
};
pub use mount::Peer;
pub use response_body::Body;
pub use tls::{Tls, TlsError};

/// The examples in the README are tests, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
