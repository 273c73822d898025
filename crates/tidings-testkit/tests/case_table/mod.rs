//! The table of cases: its axes, the model, and a hub on which it is run.

mod client;
mod credential;
mod model;
mod request;
mod world;

pub(crate) use credential::{CREDENTIALS, Credential};
pub(crate) use request::{REQUESTS, Request};
pub(crate) use world::World;

/// The version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

pub(crate) const PROTOCOLS: &[Protocol] = &[Protocol::Http1, Protocol::Http2];

/// What is asked for. Grants are of `own/*`, and everybody has `public/**`.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What is read, natively.
    pub(crate) matcher: &'static str,
    /// The same in the words of Mercure, percent-encoded.
    pub(crate) selector: &'static str,
    /// A topic that it matches, for what can only be done to one topic.
    pub(crate) topic: &'static str,
    /// Whether what is published over Mercure is private.
    pub(crate) is_private: bool,
}

pub(crate) const TOPICS: &[&Asked] = &[
    &Asked { matcher: "own/1", selector: "own/1", topic: "own/1", is_private: false },
    &Asked { matcher: "other/1", selector: "other/1", topic: "other/1", is_private: false },
    &Asked { matcher: "own/*", selector: "own/%7Bid%7D", topic: "own/2", is_private: false },
    &Asked { matcher: "own/**", selector: "*", topic: "own/a/b", is_private: false },
    &Asked { matcher: "public/1", selector: "public/1", topic: "public/1", is_private: false },
    &Asked {
        matcher: "public/private",
        selector: "public/private",
        topic: "public/private",
        is_private: true,
    },
];

/// One cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) request: Request,
    pub(crate) credential: Credential,
    pub(crate) topic: &'static Asked,
    pub(crate) protocol: Protocol,
}

impl Case {
    pub(crate) fn name(&self) -> String {
        let Self { request, credential, topic, protocol } = self;
        format!("{credential:?} {request:?} {} {protocol:?}", topic.matcher)
    }
}
