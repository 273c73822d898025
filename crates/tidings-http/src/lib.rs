//! The HTTP layer of the Tidings hub: everything between a socket and the answer to a request that
//! is not specific to one protocol.
//!
//! # A request travels
//!
//! The [server](HttpServer) accepts a connection; `connection` finds out which HTTP is spoken and
//! lets hyper parse; `service` checks the host and asks the server's [`Handler`]. A handler
//! identifies the caller ([`auth`]), reads the body ([`whole_body`]), charges the caller
//! ([`quota`]), asks the [`Engine`](tidings_engine::Engine), and gives an
//! [`Answer`](answer::Answer) or a [`Problem`](problem::Problem). An answer that is an event stream
//! is sent in one of two ways with the same headers: over HTTP/1.1 the socket is handed to the
//! engine; otherwise the engine feeds a response body. Everything that a handler can use is in
//! [`State`].
//!
//! A protocol beside the native API is a [`Face`]. An application with the hub in its router is a
//! handler too ([`mount`]).
//!
//! # Example
//!
//! A server with one path:
//!
//! ```
//! use std::hash::{BuildHasher, RandomState};
//! use std::pin::Pin;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use http::{Request, StatusCode};
//! use tidings_engine::{Engine, EngineConfig};
//! use tidings_http::answer::{self, Answer};
//! use tidings_http::{Handler, HttpConfig, HttpServer, RequestBody};
//! use tidings_hub::{Epoch, MemoryStore};
//!
//! struct Greeting;
//!
//! impl Handler for Greeting {
//!     fn handle(
//!         self: Arc<Self>,
//!         request: Request<RequestBody>,
//!     ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
//!         let answer = match request.uri().path() {
//!             "/hello" => answer::whole(StatusCode::OK, "text/plain", "hello\n"),
//!             _ => answer::empty(StatusCode::NOT_FOUND),
//!         };
//!         Box::pin(std::future::ready(Answer::Response(answer)))
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let epoch = Epoch::from_random(RandomState::new().hash_one("log"));
//! let store = MemoryStore::new(epoch, 64 << 20, Duration::from_secs(3600));
//! let engine = Engine::start(Arc::new(store), EngineConfig::default())?;
//! let config = HttpConfig { listen: vec!["127.0.0.1:0".parse()?], ..HttpConfig::default() };
//! let server = HttpServer::bind(config, false, engine.clone(), Vec::new())?;
//! # let shutdown = std::future::ready(());
//! server.serve(Arc::new(Greeting), shutdown).await;
//! engine.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What this crate refuses to know
//!
//! Which paths there are, what a request means, which store there is, and where settings come from:
//! an [`HttpConfig`] arrives complete.
#![allow(rustdoc::private_intra_doc_links)]

pub mod accept_encoding;
mod accepted;
mod activity;
pub mod allowance;
mod allowed_hosts;
pub mod answer;
pub mod auth;
pub mod authorize;
pub mod body;
pub mod client;
pub mod clock;
mod concurrency_limit;
mod config;
mod connection;
mod control_frames;
pub mod cors;
pub mod counts;
mod date;
pub mod denials;
pub mod error;
pub mod event_retry;
pub mod face;
pub mod foreign_page;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
pub mod handler;
mod handoff;
pub mod headers;
mod host;
mod http2_body;
pub mod hubs;
pub mod key_share;
pub mod lease;
pub mod limits;
mod listener;
pub mod mount;
mod movable;
pub mod notify;
pub mod open_stream;
pub mod origin;
mod outbound;
pub mod present;
pub mod problem;
pub mod query;
pub mod quota;
mod quota_key;
mod rate_limiter;
mod rebinding;
mod redirect;
mod request_threads;
pub mod response_body;
pub mod retry_after;
mod room;
pub mod sendable_id;
mod server;
mod service;
mod shared;
mod socket;
pub mod stage;
pub mod state;
pub mod stream;
pub mod stream_room;
mod tls;
pub mod trace;
pub mod whole_body;

pub use allowed_hosts::AllowedHosts;
pub use auth::session::Sessions;
pub use auth::session::revoked::RevokedSessions;
pub use auth::{ApiKey, JwtKey, Link, LinkKey};
pub use authorize::AuthorizeRule;
pub use body::RequestBody;
pub use client::TrustedProxies;
pub use config::HttpConfig;
pub use cors::Cors;
pub use denials::Denials;
pub use error::{BindError, ConfigError};
pub use face::Face;
pub use handler::Handler;
pub use key_share::KeyLimits;
pub use mount::Peer;
pub use notify::{NotifyReceiver, NotifySecrets};
pub use response_body::Body;
pub use server::HttpServer;
pub use state::State;
pub use tls::{
    CertificateFacts, ChallengeCertificate, Challenges, IssuedAs, Renewals, TicketKeys,
    TicketKeysError, Tls, TlsError, Validity,
};

/// The examples in the README are tests, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
