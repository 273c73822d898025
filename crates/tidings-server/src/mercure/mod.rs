//! The Mercure protocol, at `/.well-known/mercure`: every client of that protocol works with this
//! hub unchanged, whichever of its two dialects it speaks.
//!
//! # How
//!
//! [`dialect`] is the table of what differs. A `POST` is a form that becomes an event
//! ([`publish`]); a `GET`, or a `QUERY`, becomes an event stream ([`subscribe`]). Who may do what,
//! a token says ([`access`] finds it, [`claims`] reads it). Who is subscribed, [`presence`] knows
//! and [`subscriptions`] answers. The words topics are asked for with become matchers of the hub
//! ([`selector`], [`template`], [`url_pattern`]); behind this module nobody knows that there is
//! such a protocol. Its topics are the hub's topics: what is published here can be read at
//! `/events`, and the other way round.
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

mod access;
mod claims;
mod config;
mod cors;
mod dialect;
mod form;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod limits;
mod memory;
mod metadata;
mod paths;
mod presence;
mod publish;
mod refusal;
mod report;
mod selector;
mod site;
mod subscribe;
mod subscription;
mod subscriptions;
mod template;
mod text;
mod url_pattern;

use std::borrow::Cow;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};

use crate::answer::{self, Answer};
use crate::body::{self, RequestBody};
use crate::client::Client;
use crate::quota::{self, Full};
use crate::state::State;
use crate::trace;
use paths::{HUB, METADATA};
use refusal::Refusal;
use site::Site;

pub(crate) use memory::Memory;
pub(crate) use paths::has;
pub use report::{TokenReport, TokenUse, TokenVerdict};

pub use config::{MercureConfig, MercureIssuer, MercureKeys, MercureResource, PublishOrigins};

/// What there is, and what can be done with it, for the published description. `QUERY` is not among
/// the methods that one can name.
#[cfg(test)]
pub(crate) const ROUTES: &[(&str, &[Method])] = &[
    (HUB, &[Method::GET, Method::POST]),
    (METADATA, &[Method::GET]),
    ("/.well-known/mercure/subscriptions", &[Method::GET]),
    ("/.well-known/mercure/subscriptions/{topic}", &[Method::GET]),
    ("/.well-known/mercure/subscriptions/{topic}/{subscriber}", &[Method::GET]),
    ("/.well-known/mercure/subscriptions/{match_type}/{match}/{subscriber}", &[Method::GET]),
];

/// Answers a request to a path that [is](has) of this protocol.
pub(crate) async fn answer(state: &State, parts: &Parts, body: RequestBody) -> Answer {
    let site = Site::of(&state.config.mercure, parts);
    let answered = dispatch(state, parts, &site, body).await;
    let mut answer = answered.unwrap_or_else(|refusal| {
        tracing::debug!(
            method = %parts.method,
            path = parts.uri.path(),
            client = Client::of(parts).map(|client| display(client.address)),
            status = refusal.status().as_u16(),
            detail = refusal.text(),
            "refused"
        );
        trace::refused(refusal.kind());
        Answer::Response(refusal.into_response(&site))
    });
    cors::apply(state, parts, answer.headers_mut());
    answer
}

async fn dispatch(
    state: &State,
    parts: &Parts,
    site: &Site,
    body: RequestBody,
) -> Result<Answer, Refusal> {
    let method = &parts.method;
    let subscribes = method == Method::GET || method.as_str() == subscribe::QUERY;
    if let Some(full) = Client::excess(parts)
        && !(subscribes && parts.uri.path() == HUB)
    {
        return Err(match full {
            Full::Hub => Refusal::unavailable(full.sentence()),
            _ => too_many(full.sentence(), Duration::from_secs(10)),
        });
    }
    body::check_coding(&parts.headers, &body).map_err(|problem| {
        Refusal::new(problem.code().status(), problem.detail().to_owned())
            .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
    })?;
    match parts.uri.path() {
        HUB if method == Method::POST => publish::publish(state, parts, site, body).await,
        HUB if method == Method::GET
            || method == Method::HEAD
            || method.as_str() == subscribe::QUERY =>
        {
            subscribe::subscribe(state, parts, site, body).await
        }
        METADATA if method == Method::GET || method == Method::HEAD => {
            Ok(metadata::metadata(state, site))
        }
        path if state.config.mercure.subscriptions && subscriptions::has(path) => match *method {
            Method::GET | Method::HEAD => subscriptions::subscriptions(state, parts, site).await,
            Method::OPTIONS => Ok(Answer::Response(answer::empty(StatusCode::NO_CONTENT))),
            _ => Err(wrong_method("GET, HEAD, OPTIONS")),
        },
        HUB | METADATA if method == Method::OPTIONS => {
            Ok(Answer::Response(answer::empty(StatusCode::NO_CONTENT)))
        }
        HUB => Err(wrong_method("GET, HEAD, QUERY, POST, OPTIONS")),
        METADATA => Err(wrong_method("GET, HEAD, OPTIONS")),
        _ => Err(Refusal::new(StatusCode::NOT_FOUND, "404 page not found")),
    }
}

/// The answer to who has, or does, more than it may.
fn too_many(text: impl Into<Cow<'static, str>>, wait: Duration) -> Refusal {
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, text)
        .with_header(header::RETRY_AFTER, quota::retry_after(wait).into())
}

fn wrong_method(allowed: &'static str) -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        .with_header(header::ALLOW, HeaderValue::from_static(allowed))
}
