//! Static files: the console and whatever pages the configuration adds.
//!
//! A browser asks for a cached file again with its entity tag, and gets 304: a new version of the
//! hub shows at once, and an unchanged file costs one small answer.

use std::collections::HashMap;

use aws_lc_rs::digest;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use tidings_http::answer::{self, Answer};
use tidings_web::File;

/// All files, by path.
#[derive(Debug)]
pub(crate) struct Pages {
    by_path: HashMap<&'static str, Page>,
}

#[derive(Debug)]
struct Page {
    file: File,
    tag: HeaderValue,
}

impl Pages {
    /// All files of all `sets`. Of two with the same path the later wins.
    pub(crate) fn new(sets: &[&'static [File]]) -> Self {
        let files = sets.iter().flat_map(|set| set.iter());
        let pages = files.map(|file| (file.path, Page { file: *file, tag: tag(file.body) }));
        Self { by_path: pages.collect() }
    }

    /// Whether there is a file at `path`.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.by_path.contains_key(path)
    }

    /// `GET` of one of the files.
    pub(crate) fn answer(&self, parts: &Parts) -> Option<Answer> {
        let page = self.by_path.get(parts.uri.path())?;
        let mut response = if holds(&parts.headers, &page.tag) {
            answer::empty(StatusCode::NOT_MODIFIED)
        } else {
            answer::whole(StatusCode::OK, page.file.content_type, page.file.body)
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, page.tag.clone());
        for (name, value) in [
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::REFERRER_POLICY, "no-referrer"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Some(Answer::Response(response))
    }
}

/// The pages may use files and events of this hub, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// A strong entity tag (RFC 9110 §8.8.3): sixteen hexadecimal digits of the body's hash.
fn tag(body: &str) -> HeaderValue {
    let hash = digest::digest(&digest::SHA256, body.as_bytes());
    let mut tag = String::from("\"");
    for byte in &hash.as_ref()[..8] {
        tag.push_str(&format!("{byte:02x}"));
    }
    tag.push('"');
    HeaderValue::from_str(&tag).expect("hexadecimal digits in quotes")
}

/// Whether the client has the version that `tag` names (`If-None-Match`, RFC 9110 §13.1.2).
fn holds(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().unwrap_or_default();
    tidings_http::headers::joined(headers, header::IF_NONE_MATCH, ", ")
        .split(',')
        .map(|held| held.trim().trim_start_matches("W/"))
        .any(|held| held == tag || held == "*")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use tidings_http::response_body::Response;

    fn get(path: &str, held: Option<&str>) -> Option<Response> {
        let mut request = http::Request::get(path);
        if let Some(held) = held {
            request = request.header(header::IF_NONE_MATCH, held);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        match Pages::new(&[tidings_web::CONSOLE]).answer(&parts)? {
            Answer::Response(response) => Some(response),
            Answer::Stream(_) => None,
        }
    }

    #[test]
    fn a_page_comes_with_a_policy_and_a_tag_that_saves_sending_it_again() {
        let response = get("/", None).unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        let tag = response.headers()[header::ETAG].to_str().unwrap().to_owned();
        for held in [tag.clone(), format!("\"x\", W/{tag}")] {
            assert_eq!(get("/", Some(&held)).unwrap().status(), StatusCode::NOT_MODIFIED);
        }
        assert_eq!(get("/", Some("\"x\"")).unwrap().status(), StatusCode::OK);
        assert!(get("/nowhere", None).is_none());
    }
}
