//! Following redirects: the next request to make, as each redirect changes it.

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE,
    LOCATION, PROXY_AUTHORIZATION,
};
use http::{HeaderMap, Method, Request, StatusCode};

use crate::error::RedirectProblem;
use crate::limits::REDIRECTS_MAX;
use crate::target::Target;

/// One request of an attempt: the first, or one that a redirect led to.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    pub(crate) target: Target,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Target of the chain of redirects so far, if all of them are permanent.
    pub(crate) moved_to: Option<Target>,
    /// Whether no redirect so far was temporary or changed the method.
    is_permanent: bool,
    redirects: u32,
}

impl Hop {
    pub(crate) fn first(target: Target, method: Method, headers: HeaderMap, body: Bytes) -> Self {
        Self { target, method, headers, body, moved_to: None, is_permanent: true, redirects: 0 }
    }

    /// Follows a redirect (Fetch §4.4, "HTTP-redirect fetch").
    pub(crate) fn follow(
        mut self,
        status: StatusCode,
        answer: &HeaderMap,
    ) -> Result<Self, RedirectProblem> {
        let location = answer.get(LOCATION).ok_or(RedirectProblem::NoLocation)?;
        let location =
            std::str::from_utf8(location.as_bytes()).map_err(|_| RedirectProblem::NotText)?.trim();
        // An empty one would resolve to the URL that has just redirected.
        if location.is_empty() {
            return Err(RedirectProblem::NoLocation);
        }
        if self.redirects >= REDIRECTS_MAX {
            return Err(RedirectProblem::TooMany);
        }
        let target = self.target.join(location).map_err(RedirectProblem::Location)?;
        let method_kept = !becomes_get(status, &self.method);
        if !method_kept {
            self.method = Method::GET;
            self.body = Bytes::new();
            for about_body in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION] {
                self.headers.remove(about_body);
            }
        }
        if target.origin() != self.target.origin() {
            strip_credentials(&mut self.headers);
        }
        self.is_permanent &= method_kept && matches!(status.as_u16(), 301 | 308);
        if self.is_permanent {
            self.moved_to = Some(target.clone());
        }
        self.target = target;
        self.redirects += 1;
        Ok(self)
    }

    pub(crate) fn request(&self) -> Request<Bytes> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.uri().clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// The URL that a source requests when it reconnects. The standard does not say, and browsers
/// differ (whatwg/html issue 503).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RememberRedirects {
    /// Always the original URL.
    Never,
    /// The target of permanent redirects (301, 308), but not of temporary ones.
    #[default]
    Permanent,
    /// The URL that answered last.
    Always,
}

/// Credentials for one origin must not reach another (Fetch §4.4, step 13).
pub(crate) fn strip_credentials(headers: &mut HeaderMap) {
    for secret in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
        headers.remove(secret);
    }
}

/// Fetch §4.4, step 12.
fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        301 | 302 => method == Method::POST,
        303 => method != Method::GET && method != Method::HEAD,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn first(url: &str, method: Method) -> Hop {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, "Bearer x".parse().unwrap());
        headers.insert(COOKIE, "a=b".parse().unwrap());
        headers.insert(CONTENT_TYPE, "text/plain".parse().unwrap());
        let (target, _) = Target::parse(url).unwrap();
        Hop::first(target, method, headers, Bytes::from_static(b"body"))
    }

    fn follow(hop: Hop, status: u16, location: &str) -> Result<Hop, RedirectProblem> {
        let mut answer = HeaderMap::new();
        answer.insert(LOCATION, location.parse().unwrap());
        hop.follow(StatusCode::from_u16(status).unwrap(), &answer)
    }

    /// Checklist 28.
    #[test]
    fn a_location_is_resolved_against_the_url_that_sent_it() {
        let at = |location| {
            let hop = follow(first("http://h/a/b?c", Method::GET), 302, location).unwrap();
            hop.target.as_str().to_owned()
        };
        assert_eq!(at("x"), "http://h/a/x");
        assert_eq!(at("/x?y"), "http://h/x?y");
        assert_eq!(at("//other/x"), "http://other/x");
        assert_eq!(at("https://other:1/#f"), "https://other:1/");
    }

    /// Checklist 23.
    #[test]
    fn credentials_stay_with_their_origin() {
        let hop = follow(first("http://h/a", Method::GET), 307, "/b").unwrap();
        assert!(hop.headers.contains_key(AUTHORIZATION));
        for elsewhere in ["http://other/b", "https://h/b", "http://h:81/b"] {
            let away = follow(hop.clone(), 307, elsewhere).unwrap();
            assert!(!away.headers.contains_key(AUTHORIZATION), "{elsewhere}");
            assert!(!away.headers.contains_key(COOKIE), "{elsewhere}");
            let back = follow(away, 307, "http://h/c").unwrap();
            assert!(!back.headers.contains_key(AUTHORIZATION));
        }
    }

    #[test]
    fn only_some_redirects_turn_a_post_into_a_get() {
        for (status, method, body) in [
            (301, Method::GET, ""),
            (302, Method::GET, ""),
            (303, Method::GET, ""),
            (307, Method::POST, "body"),
            (308, Method::POST, "body"),
        ] {
            let hop = follow(first("http://h/", Method::POST), status, "/x").unwrap();
            assert_eq!(hop.method, method, "{status}");
            assert_eq!(hop.body, body, "{status}");
            assert_eq!(hop.headers.contains_key(CONTENT_TYPE), !body.is_empty());
        }
        let report = Method::from_bytes(b"REPORT").unwrap();
        let hop = follow(first("http://h/", report.clone()), 302, "/x").unwrap();
        assert_eq!(hop.method, report);
    }

    /// Checklist 28.
    #[test]
    fn a_redirect_to_nowhere_is_an_error_and_not_a_loop() {
        let hop = first("http://h/", Method::GET);
        let missing = hop.clone().follow(StatusCode::FOUND, &HeaderMap::new());
        assert!(matches!(missing, Err(RedirectProblem::NoLocation)));
        let empty = follow(hop.clone(), 302, "");
        assert!(matches!(empty, Err(RedirectProblem::NoLocation)));
        let unknown = follow(hop.clone(), 302, "ftp://h/");
        assert!(matches!(unknown, Err(RedirectProblem::Location(_))));

        let mut hop = hop;
        for _ in 0..REDIRECTS_MAX {
            hop = follow(hop, 302, "/").unwrap();
        }
        assert!(matches!(follow(hop, 302, "/"), Err(RedirectProblem::TooMany)));
    }

    /// Checklist 35.
    #[test]
    fn only_an_unbroken_chain_of_permanent_redirects_moves_the_source() {
        let moved_to = |chain: &[(u16, &str)]| {
            let mut hop = first("http://h/0", Method::GET);
            for (status, location) in chain {
                hop = follow(hop, *status, location).unwrap();
            }
            hop.moved_to.map(|target| target.as_str().to_owned())
        };
        assert_eq!(moved_to(&[(302, "/1")]), None);
        assert_eq!(moved_to(&[(301, "/1"), (308, "/2")]).unwrap(), "http://h/2");
        assert_eq!(moved_to(&[(301, "/1"), (302, "/2")]).unwrap(), "http://h/1");
        assert_eq!(moved_to(&[(302, "/1"), (301, "/2")]), None);
    }
}
