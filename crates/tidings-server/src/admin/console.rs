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

    /// Whether there is a file at `path`, or would be with a slash at its end.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.by_path.contains_key(path) || self.is_folder(path)
    }

    /// `GET` of one of the files. A folder without its slash is redirected to the one with it.
    pub(crate) fn answer(&self, parts: &Parts) -> Option<Answer> {
        let path = parts.uri.path();
        if self.is_folder(path) {
            // Relative to what the client asked for, in case a router has taken off a prefix.
            let (_, name) = path.rsplit_once('/')?;
            let mut response = answer::empty(StatusCode::PERMANENT_REDIRECT);
            let target = HeaderValue::try_from(format!("{name}/")).ok()?;
            response.headers_mut().insert(header::LOCATION, target);
            return Some(Answer::Response(response));
        }
        let page = self.by_path.get(path)?;
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

    fn is_folder(&self, path: &str) -> bool {
        !path.ends_with('/') && self.by_path.contains_key(&*format!("{path}/"))
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
        match Pages::new(&[tidings_web::CONSOLE, tidings_web::DEMO]).answer(&parts)? {
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

    #[test]
    fn a_folder_without_its_slash_is_redirected_to_it() {
        let response = get("/demo", None).unwrap();
        assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
        assert_eq!(response.headers()[header::LOCATION], "demo/");
        assert!(get("/demo/counter/", None).is_none());
        assert!(get("/dem", None).is_none());
    }
}
