//! Everything that differs between the two dialects, in one table.
//!
//! *0.x* is spoken by hubs up to 0.24 and nearly every deployed client (draft 7 of the protocol);
//! *1.0* is draft 8. A hub tells them apart request by request: by the names of parameters, else by
//! the shape of the token, else it is 0.x. Nothing is configured, and one hub serves both.

use http::StatusCode;
use tidings_hub::Audience;

/// The differences between the dialects.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// The cookie that carries a token.
    pub(crate) cookie: &'static str,
    /// Whether `?authorization=` carries a token.
    pub(crate) token_in_query: bool,
    /// The parameters that carry the id to resume after, in any case (a polyfill that many pages
    /// have writes `lastEventId`), the first one present wins; the header `Last-Event-ID` wins over
    /// all.
    pub(crate) resume_parameters: &'static [&'static str],
    /// Whether an empty id to resume after is answered like any other id.
    pub(crate) answers_empty_resume: bool,
    /// Maximum topic selectors or matchers of one subscriber.
    pub(crate) wanted_max: usize,
    /// The error if there is none.
    pub(crate) wanted_missing: &'static str,
    /// The error if there are too many.
    pub(crate) wanted_too_many: &'static str,
    /// Whether parameters, ids and types must be valid UTF-8 without invisible characters.
    pub(crate) strict_text: bool,
    /// Maximum body of a publish request, in bytes, before any limit set by the operator.
    pub(crate) body_bytes_max: usize,
    pub(crate) body_too_large: StatusCode,
    /// Status for an `Authorization` header that is malformed or repeated.
    pub(crate) malformed_credentials: StatusCode,
    /// Status for a cookie without an origin, or from an origin that may not publish.
    pub(crate) foreign_origin: StatusCode,
    /// Status for a token that does not cover every topic of a publish.
    pub(crate) not_granted: StatusCode,
    /// Status for a topic in the hub's own namespace.
    pub(crate) reserved_namespace: StatusCode,
    /// The audience of subscription events in the form of this dialect.
    pub(crate) audience: Audience,
    /// The type of these events.
    pub(crate) subscription_event_type: Option<&'static str>,
    /// The type of the presence API's documents.
    pub(crate) subscription_media_type: &'static str,
    /// The encoding of a space in the path of a subscription.
    pub(crate) escaped_space: &'static str,
    /// Whether a token needs an end, an issuer and an audience (RFC 9068), and `*` is no topic.
    pub(crate) is_one: bool,
}

/// Draft 7 and hubs up to 0.24.
pub(crate) static ZERO: Dialect = Dialect {
    cookie: "mercureAuthorization",
    token_in_query: true,
    resume_parameters: &["lastEventID", "Last-Event-ID"],
    answers_empty_resume: false,
    wanted_max: 1000,
    wanted_missing: "Missing \"topic\" parameter.",
    wanted_too_many: "Too many \"topic\" parameters.",
    strict_text: false,
    body_bytes_max: 10_000_000,
    body_too_large: StatusCode::BAD_REQUEST,
    malformed_credentials: StatusCode::UNAUTHORIZED,
    foreign_origin: StatusCode::UNAUTHORIZED,
    not_granted: StatusCode::UNAUTHORIZED,
    reserved_namespace: StatusCode::FORBIDDEN,
    audience: Audience(0),
    subscription_event_type: None,
    subscription_media_type: "application/ld+json",
    escaped_space: "+",
    is_one: false,
};

/// Draft 8 and hub 1.0.
pub(crate) static ONE: Dialect = Dialect {
    cookie: "__Secure-mercure_access_token",
    token_in_query: false,
    resume_parameters: &["last_event_id"],
    answers_empty_resume: true,
    wanted_max: 100,
    wanted_missing: "missing \"match\" subscription parameter",
    wanted_too_many: "too many \"match\" subscription parameters",
    strict_text: true,
    body_bytes_max: 1 << 20,
    body_too_large: StatusCode::PAYLOAD_TOO_LARGE,
    malformed_credentials: StatusCode::BAD_REQUEST,
    foreign_origin: StatusCode::BAD_REQUEST,
    not_granted: StatusCode::FORBIDDEN,
    reserved_namespace: StatusCode::BAD_REQUEST,
    audience: Audience(1),
    subscription_event_type: Some("mercure"),
    subscription_media_type: "application/json",
    escaped_space: "%20",
    is_one: true,
};

/// Maximum topics of one publish.
pub(crate) const TOPICS_MAX: usize = 1000;

/// Maximum topic selectors in one claim of a 0.x token.
pub(crate) const CLAIM_SELECTORS_MAX: usize = 1000;

/// Maximum number of our entries in the `authorization_details` of a 1.0 token, and of matchers in
/// all of them together.
pub(crate) const DETAILS_MAX: usize = 100;

/// Maximum body of a `QUERY` request, in bytes.
pub(crate) const QUERY_BYTES_MAX: usize = 1 << 20;

/// Minimum length of a whole `Authorization` header, in bytes; a shorter token cannot have a
/// signature.
pub(crate) const AUTHORIZATION_BYTES_MIN: usize = 48;

/// The dialect of a subscribe request by the names of its parameters, if they determine it.
pub(crate) fn of_parameters<'a>(names: impl Iterator<Item = &'a [u8]>) -> Option<&'static Dialect> {
    let mut found = None;
    for name in names {
        if is_match_name(name) || name == b"last_event_id" {
            return Some(&ONE);
        }
        if [&b"topic"[..], b"lastEventID", b"Last-Event-ID", b"authorization"].contains(&name) {
            found = Some(&ZERO);
        }
    }
    found
}

/// Whether 1.0 defines or reserves this parameter.
pub(crate) fn is_match_name(name: &[u8]) -> bool {
    name.get(..5).is_some_and(|head| head.eq_ignore_ascii_case(b"match"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(names: &[&str]) -> Option<&'static str> {
        let dialect = of_parameters(names.iter().map(|name| name.as_bytes()))?;
        Some(if dialect.is_one { "1.0" } else { "0.x" })
    }

    #[test]
    fn parameters_tell_the_dialect() {
        assert_eq!(spoken(&["topic"]), Some("0.x"));
        assert_eq!(spoken(&["topic", "match"]), Some("1.0"));
        assert_eq!(spoken(&["match_urlpattern"]), Some("1.0"));
        assert_eq!(spoken(&["MATCHES"]), Some("1.0"));
        assert_eq!(spoken(&["last_event_id"]), Some("1.0"));
        assert_eq!(spoken(&["lastEventID"]), Some("0.x"));
        assert_eq!(spoken(&["x"]), None);
    }
}
