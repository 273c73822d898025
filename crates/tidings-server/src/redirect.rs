//! What is answered where only TLS should be spoken, and is not.

use http::header::{self, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, StatusCode};

use crate::answer::{self, Response};
use crate::problem::{Code, Problem};

/// Sends a reader to the same place behind TLS, at `port`. A request that changes something is
/// refused: it has carried its token over the network in the clear, and whoever sent it should
/// notice.
pub(crate) fn answer<B>(request: &Request<B>, port: u16) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    match location(request, port).filter(|_| reads) {
        Some(location) => {
            let mut response = answer::empty(StatusCode::PERMANENT_REDIRECT);
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        None => tls_required().into_response(),
    }
}

/// The problem of somebody who does not speak TLS.
pub(crate) fn tls_required() -> Problem {
    Problem::new(Code::TlsRequired, "use an https URL")
}

fn location<B>(request: &Request<B>, port: u16) -> Option<HeaderValue> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let named: Option<Authority> = host.and_then(|host| host.parse().ok());
    let authority = request.uri().authority().or(named.as_ref())?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    HeaderValue::from_str(&format!("https://{}{port}{path}", authority.host())).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn to(host: &str, target: &str, port: u16) -> Option<String> {
        let request = Request::get(target).header(header::HOST, host).body(()).unwrap();
        location(&request, port).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_place_behind_tls_has_the_same_host_path_and_query() {
        let found = to("hub.example", "/events/a%20b?last=3", 443);
        assert_eq!(found.as_deref(), Some("https://hub.example/events/a%20b?last=3"));
        assert_eq!(to("hub.example:8080", "/", 8443).as_deref(), Some("https://hub.example:8443/"));
        assert_eq!(to("[::1]:80", "/x", 443).as_deref(), Some("https://[::1]/x"));
        assert_eq!(to("user@x/y", "/", 443), None);
        assert_eq!(to("", "/", 443), None);
    }

    #[test]
    fn what_changes_something_is_not_sent_on() {
        let request = Request::post("/events/a").header(header::HOST, "x").body(()).unwrap();
        assert_eq!(answer(&request, 443).status(), StatusCode::BAD_REQUEST);
    }
}
