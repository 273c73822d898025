//! The Mercure protocol, a face of the Tidings hub at `/.well-known/mercure`: every client of that
//! protocol works with this hub unchanged, whichever of its two dialects it speaks.
//!
//! # How
//!
//! [`Mercure`] is the [`Face`](tidings_http::Face) by which a request comes in; [`dialect`] is the
//! table of what differs. A `POST` is a form that becomes an event ([`publish`]); a `GET`, or a
//! `QUERY`, becomes an event stream ([`subscribe`]). Who may do what, a token says ([`access`]
//! finds it, [`claims`] reads it). Who is subscribed, [`presence`] knows and [`subscriptions`]
//! answers. The words topics are asked for with become matchers of the hub ([`selector`],
//! [`template`], [`url_pattern`]); behind this module nobody knows that there is such a protocol.
//! Its topics are the hub's topics: what is published here can be read at `/events`, and the other
//! way round.
//!
//! # Where it is not like the reference hub
//!
//! It tells more: a refusal says which check failed, both dialects' resume headers are sent and may
//! be read by pages of other origins, and a client that asks to go on after an id that is gone is
//! sent everything there is. Who cannot be let in just now is told to come back in a stream that
//! ends, since another status would end a browser's `EventSource` for good. Who cannot publish
//! since the store failed is told so with 503 and when to come back, not with 500. Ids that
//! publishers do not bring are the hub's own short ones, not UUIDs: they are URIs all the same, and
//! need no index.

#![allow(rustdoc::private_intra_doc_links)]

mod access;
mod claims;
mod config;
mod context;
mod cors;
mod dialect;
mod error_answer;
mod face;
mod form;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
mod limits;
mod mercure;
mod metadata;
mod paths;
mod presence;
mod publish;
mod selector;
mod site;
mod subscribe;
mod subscription;
mod subscriptions;
mod template;
mod text;
mod url_pattern;
mod verdict;

pub use access::Role;
pub use config::{MercureConfig, MercureIssuer, MercureKeys, MercureResource, PublishOrigins};
pub use mercure::Mercure;
pub use paths::ROUTES;
pub use verdict::{Verdict, version};

/// The examples in the README are tests, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
