//! Which web pages of other origins may use the hub (Fetch standard, CORS protocol).

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};

use crate::answer;
use crate::error::ConfigError;
use crate::headers::{ACCEPTED, EXPOSED};
use crate::origin;
use crate::problem::{Code, Problem};
use crate::response_body::Response;

/// The origins whose pages may use the hub.
///
/// Without any, browsers let only pages of the hub's own origin read its answers, and the hub
/// rejects anonymous publishes from pages of other origins.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    origins: Origins,
    credentials: bool,
}

#[derive(Clone, Debug)]
enum Origins {
    Any,
    Named(Vec<String>),
}

impl Cors {
    /// Allows `origins`: each like `https://example.com`, or `*` for all. `credentials` allows
    /// requests that carry cookies or browser-held passwords, such as those of `new
    /// EventSource(url, {withCredentials: true})`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Origin`]; [`ConfigError::AnyOriginWithCredentials`].
    pub fn new<I>(origins: I, credentials: bool) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut named = Vec::new();
        for origin in origins {
            let origin = origin.as_ref();
            if origin == "*" {
                if credentials {
                    return Err(ConfigError::AnyOriginWithCredentials);
                }
                return Ok(Self { origins: Origins::Any, credentials });
            }
            named.push(canonical(origin)?);
        }
        Ok(Self { origins: Origins::Named(named), credentials })
    }

    /// Whether pages of `origin` may use the hub.
    pub(crate) fn allows(&self, origin: &[u8]) -> bool {
        match &self.origins {
            Origins::Any => true,
            Origins::Named(named) => {
                let same = |origin| named.iter().any(|name| origin::are_same(name, origin));
                str::from_utf8(origin).is_ok_and(same)
            }
        }
    }

    /// Whether pages of `origin` may use the hub with the cookies of their visitors.
    pub(crate) fn allows_with_cookies(&self, origin: &[u8]) -> bool {
        self.credentials && self.allows(origin)
    }

    /// The value of `Access-Control-Allow-Origin` for a page of `origin`, if it may use the hub.
    pub fn allow_origin(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        let origin = origin.filter(|origin| self.allows(origin.as_bytes()))?;
        Some(match &self.origins {
            Origins::Any => HeaderValue::from_static("*"),
            Origins::Named(_) => origin.clone(),
        })
    }

    /// Whether an answer depends on the origin of the page.
    pub fn depends_on_origin(&self) -> bool {
        matches!(&self.origins, Origins::Named(named) if !named.is_empty())
    }

    /// Adds the headers that let a page of the request's origin read an answer, if it may.
    pub fn apply(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        match &self.origins {
            Origins::Named(named) if named.is_empty() => return,
            Origins::Named(_) => {
                // A cache must not give one origin the answer meant for another, or for none.
                headers.append(header::VARY, HeaderValue::from_static("origin"));
            }
            Origins::Any => {}
        }
        let Some(allowed) = self.allow_origin(origin) else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.credentials {
            headers
                .insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED.clone());
    }

    /// Answers a preflight request for a resource with `methods`. The headers that say which origin
    /// is allowed come from [`apply`](Self::apply).
    pub fn preflight(&self, request: &Parts, methods: &[Method]) -> Result<Response, Problem> {
        let origin = request.headers.get(header::ORIGIN);
        if origin.is_none_or(|origin| !self.allows(origin.as_bytes())) {
            return Err(not_allowed(origin));
        }
        let mut response = answer::empty(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, answer::list(methods));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(request));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS));
        Ok(response)
    }
}

impl Default for Origins {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

fn not_allowed(origin: Option<&HeaderValue>) -> Problem {
    let origin = origin
        .map_or(String::new(), |origin| String::from_utf8_lossy(origin.as_bytes()).into_owned());
    Problem::new(
        Code::OriginNotAllowed,
        format!("add the origin {origin:?} to the hub's list of allowed origins"),
    )
}

/// The form browsers send.
fn canonical(text: &str) -> Result<String, ConfigError> {
    let origin = text.strip_suffix('/').unwrap_or(text);
    let known = origin::canonical(origin).filter(|known| !known.contains('*'));
    known.ok_or_else(|| ConfigError::Origin { text: text.to_owned() })
}

/// The headers that a page asks to set. A page of an allowed origin may set any: clients add
/// headers of their own, and the hub ignores those it does not know.
fn allowed_headers(request: &Parts) -> HeaderValue {
    let asked = request.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
    let is_list = |value: &&HeaderValue| {
        let mut names = value.as_bytes().split(|byte| *byte == b',');
        names.all(|name| HeaderName::from_bytes(name.trim_ascii()).is_ok())
    };
    asked.filter(is_list).cloned().unwrap_or_else(|| ACCEPTED.clone())
}

/// Time for which a browser may cache a preflight: two hours, the maximum that browsers accept.
const PREFLIGHT_SECONDS: &str = "7200";

/// Whether this is a preflight request, rather than any other `OPTIONS`.
pub fn is_preflight(request: &Parts) -> bool {
    let has = |name: HeaderName| request.headers.contains_key(name);
    request.method == Method::OPTIONS
        && has(header::ORIGIN)
        && has(header::ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn origins_are_kept_in_the_form_browsers_send() {
        for (text, sent) in [
            ("https://Example.COM", "https://example.com"),
            ("https://example.com/", "https://example.com"),
            ("https://example.com:443", "https://example.com"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("null", "null"),
        ] {
            let cors = Cors::new([text], true).unwrap();
            assert!(cors.allows(sent.as_bytes()), "{text}");
            assert!(!cors.allows(b"https://elsewhere.example"));
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in ["", "example.com", "https://", "https://a/b", "https://u@a", "https://*.a"] {
            assert!(Cors::new([text], false).is_err(), "{text:?}");
        }
        let any = Cors::new(["*"], true).map(|_| ());
        assert_eq!(any, Err(ConfigError::AnyOriginWithCredentials));
    }
}
