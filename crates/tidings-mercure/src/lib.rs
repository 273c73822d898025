//! The Mercure protocol, a face of the Tidings hub at `/.well-known/mercure`: every client of that
//! protocol works with this hub unchanged, whichever of its two dialects it speaks.
//!
//! # How
//!
//! [`Mercure`] is the [`Face`](tidings_http::Face) by which a request comes in; [`dialect`] is the
//! table of what differs. A `POST` is a form that becomes an event ([`publish`]); a `GET`, or a
//! `QUERY`, becomes an event stream ([`subscribe`]). A token says what its bearer may do
//! ([`access`] finds it, [`claims`] reads it). [`presence`] lists the current subscribers, and
//! [`subscriptions`] answers with the list. The selectors of subscribers become matchers of the hub
//! ([`selector`], [`template`], [`url_pattern`]); no code behind this crate knows of the protocol.
//! Its topics are the hub's topics: what is published here can be read at `/events`, and the other
//! way round.
//!
//! # Where it is not like the reference hub
//!
//! It reports more: a rejection says which check failed, the resume headers of both dialects are
//! sent and may be read by pages of other origins, and a client that resumes after an id that is
//! gone is sent the whole history. A subscriber for which there is no room gets a stream that asks
//! it to come back and ends, because another status would end a browser's `EventSource` for good. A
//! publisher whose event cannot be stored gets 503 with the time to come back, not 500. Events
//! without an id of their publisher get the hub's own short ids, not UUIDs: these are URIs too, and
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
