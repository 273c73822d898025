//! Answers to requests without TLS where only TLS is accepted.

use http::header::{self, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, StatusCode};

use crate::answer;
use crate::config::HttpConfig;
use crate::problem::{Code, Problem};
use crate::rebinding;
use crate::response_body::Response;

/// Redirects a reader to the same path with TLS, at `port`. A request that changes something is
/// rejected: it has carried its token over the network in the clear, and its sender should notice.
/// For the same reason a token in the query is not passed on.
pub(crate) fn answer<B>(config: &HttpConfig, request: &Request<B>, port: u16) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    match location(config, request, port).filter(|_| reads) {
        Some(Ok(location)) => {
            let mut response = answer::empty(StatusCode::PERMANENT_REDIRECT);
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Some(Err(problem)) => problem.into_response(),
        None => tls_required().into_response(),
    }
}

/// The problem for a request without TLS.
pub(crate) fn tls_required() -> Problem {
    Problem::new(Code::TlsRequired, "use an https URL")
}

/// The same URL with TLS; `None` if the request names no host.
fn location<B>(
    config: &HttpConfig,
    request: &Request<B>,
    port: u16,
) -> Option<Result<HeaderValue, Problem>> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let named: Option<Authority> = host.and_then(|host| host.parse().ok());
    let host = request.uri().authority().or(named.as_ref())?.host();
    // A client can be tricked into asking for the hub under a foreign name, and would be redirected
    // there.
    if !rebinding::is_own_host(config, host) {
        let detail = format!(
            "use an https URL of the hub; {host:?} is neither a name of its certificate nor an \
             `allowed-host`"
        );
        return Some(Err(Problem::new(Code::HostNotAllowed, detail)));
    }
    let path = request.uri().path();
    let query = request.uri().query().and_then(without_tokens);
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    HeaderValue::from_str(&format!("https://{host}{port}{path}{query}")).ok().map(Ok)
}

/// A query without the parameters that carry a token; `None` if nothing is left.
fn without_tokens(query: &str) -> Option<String> {
    let is_token = |pair: &str| {
        let pair = url::form_urlencoded::parse(pair.as_bytes()).next();
        pair.is_some_and(|(name, _)| TOKEN_PARAMETERS.contains(&&*name.to_ascii_lowercase()))
    };
    let kept: Vec<_> = query.split('&').filter(|pair| !is_token(pair)).collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

/// The parameters of both APIs.
const TOKEN_PARAMETERS: [&str; 2] = ["token", "authorization"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::allowed_hosts::AllowedHosts;

    fn config() -> HttpConfig {
        HttpConfig {
            allowed_hosts: AllowedHosts::new(["hub.example"]).unwrap(),
            ..HttpConfig::default()
        }
    }

    fn to(host: &str, target: &str, port: u16) -> Option<String> {
        let request = Request::get(target).header(header::HOST, host).body(()).unwrap();
        let location = location(&config(), &request, port)?.ok()?;
        Some(location.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_redirect_has_the_same_host_path_and_query() {
        let found = to("hub.example", "/events/a%20b?last=3", 443);
        assert_eq!(found.as_deref(), Some("https://hub.example/events/a%20b?last=3"));
        assert_eq!(to("hub.example:8080", "/", 8443).as_deref(), Some("https://hub.example:8443/"));
        assert_eq!(to("[::1]:80", "/x", 443).as_deref(), Some("https://[::1]/x"));
        assert_eq!(to("user@x/y", "/", 443), None);
        assert_eq!(to("", "/", 443), None);
    }

    #[test]
    fn a_token_in_the_query_is_not_passed_on() {
        for (query, expected) in [
            ("?token=s3", ""),
            ("?last=3&token=s3", "?last=3"),
            ("?authorization=s3&topic=a&topic=b", "?topic=a&topic=b"),
            ("?TOKEN=s3&%74oken=s3&x=token", "?x=token"),
        ] {
            let found = to("hub.example", &format!("/events{query}"), 443);
            assert_eq!(found, Some(format!("https://hub.example/events{expected}")), "{query}");
        }
    }

    #[test]
    fn a_request_is_not_redirected_to_a_foreign_host() {
        for host in ["evil.example", "hub.example.evil", "192.0.2.1"] {
            assert_eq!(to(host, "/events", 443), None, "{host}");
            let request = Request::get("/").header(header::HOST, host).body(()).unwrap();
            let refused = answer(&config(), &request, 443);
            assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST);
        }
        let target = "http://evil.example/";
        assert_eq!(to("hub.example", target, 443), None);
    }

    #[test]
    fn a_request_that_changes_something_is_not_redirected() {
        let request = Request::post("/events/a").header(header::HOST, "x").body(()).unwrap();
        assert_eq!(answer(&config(), &request, 443).status(), StatusCode::BAD_REQUEST);
    }
}
