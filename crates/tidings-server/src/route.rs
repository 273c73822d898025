//! The paths of the API and what can be done at each: method and path are parsed once, into one
//! [`Route`], so that an operation cannot be reached by falling through.

use http::Method;

/// All paths, and the methods that each supports. `HEAD` goes with `GET`, and `OPTIONS` with
/// everything. Allow, the labels of the metrics and the published description come from here.
pub(crate) const PATHS: &[(&str, &[Method])] = &[
    (EVENTS, &[Method::GET, Method::POST]),
    (TOPIC_EVENTS, &[Method::GET, Method::POST, Method::DELETE]),
    (TOPICS, &[Method::GET]),
    (STATS, &[Method::GET]),
    (METRICS, &[Method::GET]),
    (CONNECTIONS, &[Method::GET, Method::DELETE]),
    (CONNECTION, &[Method::GET, Method::DELETE]),
    (CONNECTION_TOKEN, &[Method::PUT]),
    (DENIALS, &[Method::GET, Method::DELETE]),
    (SESSION, &[Method::GET, Method::POST, Method::DELETE]),
    (LINKS, &[Method::POST]),
    (LIVE, &[Method::GET]),
    (READY, &[Method::GET]),
    (OPENAPI, &[Method::GET]),
];

const EVENTS: &str = "/events";
const TOPIC_EVENTS: &str = "/events/{topic}";
const TOPICS: &str = "/topics";
const STATS: &str = "/stats";
const METRICS: &str = "/metrics";
const CONNECTIONS: &str = "/connections";
const DENIALS: &str = "/denials";
const CONNECTION: &str = "/connections/{id}";
pub(crate) const SESSION: &str = "/session";
const LINKS: &str = "/links";
const CONNECTION_TOKEN: &str = "/connections/{id}/token";
const LIVE: &str = "/healthz";
const READY: &str = "/readyz";
const OPENAPI: &str = "/openapi.json";

/// The paths that end in a value, which may hold slashes.
const WITH_REST: &[(&str, &str)] = &[("/events/", TOPIC_EVENTS), ("/connections/", CONNECTION)];

/// One operation of the API. Topics and ids are still percent-encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Subscribe, or read pages of history; of one topic if the path names it.
    Read(Option<&'a str>),
    /// Publish; to one topic if the path names it.
    Write(Option<&'a str>),
    /// End a topic.
    End(&'a str),
    Topics,
    Stats,
    Metrics,
    Connection(&'a str),
    Connections,
    /// Close subscribers, and keep them away.
    Kick,
    /// Close one subscriber.
    KickOne(&'a str),
    /// Give a subscriber another token.
    Renew(&'a str),
    Denials,
    /// Lift a denial.
    Lift,
    /// Ask about a session.
    Session,
    /// Start a session, or renew it.
    StartSession,
    EndSession,
    /// Make a signed link.
    MakeLink,
    Live,
    Ready,
    OpenApi,
}

/// The meaning of a method at a path of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    Route(Route<'a>),
    /// `OPTIONS`: what can be done here.
    Options,
    /// Nothing: the path does not support the method.
    Unknown,
}

/// A path of the API that a request named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    /// The index in [`PATHS`].
    pub(crate) index: usize,
    /// The value for `{topic}` or `{id}`.
    rest: &'a str,
}

impl<'a> Path<'a> {
    /// The path of the API that `path` is, if it is one.
    pub(crate) fn find(path: &'a str) -> Option<Self> {
        let token = path.strip_prefix("/connections/").and_then(|rest| rest.strip_suffix("/token"));
        if let Some(id) = token {
            let index = PATHS.iter().position(|(known, _)| *known == CONNECTION_TOKEN)?;
            return Some(Self { index, rest: id });
        }
        let with_rest = WITH_REST
            .iter()
            .find_map(|(prefix, pattern)| Some((*pattern, path.strip_prefix(prefix)?)));
        // Braces in any other path are literal text, so a pattern is never named as itself.
        let (pattern, rest) = match with_rest {
            Some(found) => found,
            None if path.contains('{') => return None,
            None => (path, ""),
        };
        let index = PATHS.iter().position(|(known, _)| *known == pattern)?;
        Some(Self { index, rest })
    }

    /// The path as the documentation writes it.
    pub(crate) fn pattern(&self) -> &'static str {
        PATHS[self.index].0
    }

    pub(crate) fn methods(&self) -> &'static [Method] {
        PATHS[self.index].1
    }

    /// The meaning of `method` here.
    pub(crate) fn meaning(&self, method: &Method) -> Meaning<'a> {
        let is_read = method == Method::GET || method == Method::HEAD;
        Meaning::Route(match (self.pattern(), method) {
            (_, &Method::OPTIONS) => return Meaning::Options,
            (EVENTS, &Method::POST) => Route::Write(None),
            (TOPIC_EVENTS, &Method::POST) => Route::Write(Some(self.rest)),
            (TOPIC_EVENTS, &Method::DELETE) => Route::End(self.rest),
            (EVENTS, _) if is_read => Route::Read(None),
            (TOPIC_EVENTS, _) if is_read => Route::Read(Some(self.rest)),
            (TOPICS, _) if is_read => Route::Topics,
            (STATS, _) if is_read => Route::Stats,
            (METRICS, _) if is_read => Route::Metrics,
            (CONNECTIONS, &Method::DELETE) => Route::Kick,
            (CONNECTION, &Method::DELETE) => Route::KickOne(self.rest),
            (CONNECTION_TOKEN, &Method::PUT) => Route::Renew(self.rest),
            (DENIALS, &Method::DELETE) => Route::Lift,
            (CONNECTIONS, _) if is_read => Route::Connections,
            (DENIALS, _) if is_read => Route::Denials,
            (CONNECTION, _) if is_read => Route::Connection(self.rest),
            (SESSION, &Method::POST) => Route::StartSession,
            (SESSION, &Method::DELETE) => Route::EndSession,
            (SESSION, _) if is_read => Route::Session,
            (LINKS, &Method::POST) => Route::MakeLink,
            (LIVE, _) if is_read => Route::Live,
            (READY, _) if is_read => Route::Ready,
            (OPENAPI, _) if is_read => Route::OpenApi,
            _ => return Meaning::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_topic_may_hold_slashes_and_braces() {
        let found = |path| Path::find(path).map(|path| (path.pattern(), path.rest));
        assert_eq!(found("/events"), Some(("/events", "")));
        assert_eq!(found("/events/a/b"), Some(("/events/{topic}", "a/b")));
        assert_eq!(found("/events/{topic}"), Some(("/events/{topic}", "{topic}")));
        for nowhere in ["/event", "/eventsx", "/topics/", "//", "/{topic}", "/connection"] {
            assert_eq!(found(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn a_method_means_something_exactly_where_the_table_says_so() {
        let invented = Method::from_bytes(b"BREW").unwrap();
        let all = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::TRACE,
            Method::CONNECT,
            invented,
        ];
        let mut seen = Vec::new();
        for (pattern, methods) in PATHS {
            let path = Path::find(pattern).unwrap();
            for method in &all {
                let as_listed = if method == Method::HEAD { &Method::GET } else { method };
                let meaning = path.meaning(method);
                assert_eq!(
                    meaning != Meaning::Unknown,
                    methods.contains(as_listed),
                    "{method} {pattern}"
                );
                if meaning != Meaning::Unknown && method != Method::HEAD {
                    assert!(!seen.contains(&meaning), "{method} {pattern} is another's operation");
                    seen.push(meaning);
                }
            }
            assert_eq!(path.meaning(&Method::OPTIONS), Meaning::Options);
        }
    }
}
