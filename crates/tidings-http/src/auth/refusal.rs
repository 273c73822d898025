//! The answers to credentials that are missing, not good, or not enough.

use http::header::{self, HeaderValue};

use super::invalid_token::InvalidToken;
use crate::problem::{Code, Problem};

/// A 403 for a caller whose grant does not cover its request.
pub fn forbidden(detail: String) -> Problem {
    let challenge =
        HeaderValue::from_static(r#"Bearer realm="tidings", error="insufficient_scope""#);
    Problem::new(Code::NotGranted, detail).with_header(header::WWW_AUTHENTICATE, challenge)
}

pub(super) fn invalid(error: &InvalidToken) -> Problem {
    let reason = error.to_string();
    let challenge =
        format!(r#"Bearer realm="tidings", error="invalid_token", error_description="{reason}""#);
    unauthorized(
        Code::TokenInvalid,
        format!("{reason}; get a new token"),
        HeaderValue::from_str(&challenge).ok(),
    )
}

/// The answer to a request without a token that needs one; `what` says which. `is_stale` if it has
/// the cookie of a session that is over.
pub(super) fn no_credential(is_stale: bool, what: Option<&str>) -> Problem {
    let (code, detail) = match is_stale {
        true => (Code::SessionExpired, "start a session again: POST /session with a token"),
        false => (
            Code::TokenRequired,
            "send `Authorization: Bearer <token>`, or `?token=` if headers cannot be set",
        ),
    };
    let mut detail = detail.to_owned();
    if let Some(what) = what {
        detail += &format!("; a token {what}");
    }
    unauthorized(code, detail, None)
}

pub(super) fn unauthorized(
    code: Code,
    detail: impl Into<std::borrow::Cow<'static, str>>,
    challenge: Option<HeaderValue>,
) -> Problem {
    let challenge =
        challenge.unwrap_or_else(|| HeaderValue::from_static(r#"Bearer realm="tidings""#));
    Problem::new(code, detail).with_header(header::WWW_AUTHENTICATE, challenge)
}
