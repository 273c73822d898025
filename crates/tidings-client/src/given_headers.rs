//! `GivenHeaders`: headers set by a caller, one by one.

use http::header::{ACCEPT_ENCODING, AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::OpenError;

/// Headers set by a caller on a builder, whose methods cannot fail: the first error is kept until
/// the end.
pub(crate) struct GivenHeaders {
    map: HeaderMap,
    problem: Option<OpenError>,
}

impl GivenHeaders {
    pub(crate) fn new() -> Self {
        Self { map: HeaderMap::new(), problem: None }
    }

    /// Sets a header, replacing one of the same name.
    pub(crate) fn insert(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = HeaderName::from_bytes(name.as_ref()).map_err(OpenError::HeaderName);
        let value = HeaderValue::from_bytes(value.as_ref()).map_err(OpenError::HeaderValue);
        match name.and_then(|name| Ok((name, value?))) {
            Ok((name, mut value)) => {
                value.set_sensitive(name == AUTHORIZATION);
                self.map.insert(name, value);
            }
            Err(problem) => {
                self.problem.get_or_insert(problem);
            }
        }
    }

    /// Sets headers, replacing those of the same names. All values of a name are kept.
    pub(crate) fn replace(&mut self, headers: HeaderMap) {
        replace_headers(&mut self.map, headers);
    }

    /// `Authorization: Bearer` with a token (RFC 6750 §2.1).
    pub(crate) fn insert_bearer_token(&mut self, token: &str) {
        self.insert(AUTHORIZATION, format!("Bearer {token}"));
    }

    /// All headers, with two defaults: `Authorization` with the URL's credentials, and
    /// `Accept-Encoding: identity`, because this crate reads no compressed bodies.
    ///
    /// # Errors
    ///
    /// The first error in a header.
    pub(crate) fn finish(self, credentials: Option<String>) -> Result<HeaderMap, OpenError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let mut map = self.map;
        if let Some(credentials) = credentials {
            let mut value = HeaderValue::try_from(credentials).expect("base64 is ascii");
            value.set_sensitive(true);
            map.entry(AUTHORIZATION).or_insert(value);
        }
        map.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
        Ok(map)
    }
}

/// Replaces the headers of the same names with `new`.
pub(crate) fn replace_headers(headers: &mut HeaderMap, new: HeaderMap) {
    let mut name = None;
    for (next_name, mut value) in new {
        let is_first = next_name.is_some();
        name = next_name.or(name);
        let name = name.clone().expect("a header map begins with a name");
        value.set_sensitive(value.is_sensitive() || name == AUTHORIZATION);
        if is_first {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
}
