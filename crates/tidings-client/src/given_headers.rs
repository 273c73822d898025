//! `GivenHeaders`: headers as a caller gives them, one by one.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::OpenError;

/// Headers as a caller gives them to a builder, whose methods cannot fail: what is wrong with one
/// is kept until the end.
pub(crate) struct GivenHeaders {
    map: HeaderMap,
    problem: Option<OpenError>,
}

impl GivenHeaders {
    pub(crate) fn new() -> Self {
        Self { map: HeaderMap::new(), problem: None }
    }

    /// Puts a header in the place of one of the same name.
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

    /// `Authorization: Bearer` with a token (RFC 6750 §2.1).
    pub(crate) fn insert_bearer_token(&mut self, token: &str) {
        self.insert(AUTHORIZATION, format!("Bearer {token}"));
    }

    /// All of them, and `Authorization` with what stood in the URL, unless one was given.
    ///
    /// # Errors
    ///
    /// What is wrong with the first one that is wrong.
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
        Ok(map)
    }
}
