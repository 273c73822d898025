use http::header::{self, HeaderMap};

use crate::problem::{Code, Problem};

/// The token of an `Authorization` header; the name of the scheme has no case (RFC 9110 §11.1). A
/// header of another scheme is meant for a proxy.
///
/// # Errors
///
/// A 400 if it is there twice. One without a token is no token: it is found to be unknown.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut found = None;
    for value in headers.get_all(header::AUTHORIZATION) {
        let value = crate::headers::text(value);
        let (scheme, token) = value.split_once(' ').unwrap_or((&value, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            continue;
        }
        if found.replace(token.trim_matches(' ').to_owned()).is_some() {
            let detail = "there is more than one Authorization header with a token; send one";
            return Err(Problem::new(Code::InvalidCredential, detail));
        }
    }
    Ok(found)
}
