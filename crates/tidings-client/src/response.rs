//! Which answers open a stream, redirect it, or end the source.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

/// The meaning of an answer to an event source (HTML §9.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is an event stream.
    Open,
    /// It is a redirect, which is followed silently (Fetch §4.4).
    Redirect,
    /// It has a status other than 200.
    WrongStatus,
    /// It is not an event stream.
    NotAnEventStream,
}

pub(crate) fn judge(status: StatusCode, headers: &HeaderMap) -> Verdict {
    match status.as_u16() {
        200 if is_event_stream(headers) && content_coding(headers).is_none() => Verdict::Open,
        200 => Verdict::NotAnEventStream,
        301 | 302 | 303 | 307 | 308 => Verdict::Redirect,
        _ => Verdict::WrongStatus,
    }
}

/// Whether the essence of the content type is right. Parameters, including `charset`, do not
/// matter: an event stream is always UTF-8 (HTML §9.2.5). Of several headers the last one that is a
/// MIME type counts (Fetch §2.2.2, "extract a MIME type").
fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_TYPE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(essence)
        .next_back()
        .is_some_and(|essence| essence.eq_ignore_ascii_case(b"text/event-stream"))
}

/// The part before the parameters, if it is a type and a subtype (MIME Sniffing §4.4).
fn essence(value: &[u8]) -> Option<&[u8]> {
    let essence = value.split(|byte| *byte == b';').next()?.trim_ascii();
    let slash = essence.iter().position(|byte| *byte == b'/')?;
    let (kind, subtype) = (&essence[..slash], &essence[slash + 1..]);
    let is_token = |text: &[u8]| {
        !text.is_empty()
            && text.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
    };
    (is_token(kind) && is_token(subtype)).then_some(essence)
}

/// The coding of a compressed body (RFC 9110 §8.4). We ask for none; read as a stream, such a body
/// would be a long silence.
pub(crate) fn content_coding(headers: &HeaderMap) -> Option<String> {
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    let codings = codings.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let codings = codings.collect::<Vec<_>>().join(", ");
    let is_plain = |coding: &str| {
        let coding = coding.trim();
        coding.is_empty() || coding.eq_ignore_ascii_case("identity")
    };
    (!codings.split(',').all(is_plain)).then_some(codings)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn with_type(types: &[&str]) -> Verdict {
        let mut headers = HeaderMap::new();
        for content_type in types {
            headers.append(CONTENT_TYPE, content_type.parse().unwrap());
        }
        judge(StatusCode::OK, &headers)
    }

    /// Checklist 26.
    #[test]
    fn only_the_essence_of_the_content_type_counts() {
        for good in [
            "text/event-stream",
            "TEXT/Event-Stream",
            " text/event-stream ; charset=windows-1252",
            "text/event-stream;",
            "text/event-stream;bogus",
        ] {
            assert_eq!(with_type(&[good]), Verdict::Open, "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "text/event-streams",
            "x bogus",
            "text/event-stream x",
            "application/json; text/event-stream",
        ] {
            assert_eq!(with_type(&[bad]), Verdict::NotAnEventStream, "{bad}");
        }
        assert_eq!(with_type(&[]), Verdict::NotAnEventStream);
    }

    #[test]
    fn of_several_content_types_the_last_that_is_one_counts() {
        assert_eq!(with_type(&["text/html", "text/event-stream"]), Verdict::Open);
        assert_eq!(with_type(&["text/event-stream, bogus"]), Verdict::Open);
        assert_eq!(with_type(&["text/event-stream", "text/html"]), Verdict::NotAnEventStream);
    }

    /// Checklist 25 and 28.
    #[test]
    fn of_all_statuses_one_opens_and_five_redirect() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "text/event-stream".parse().unwrap());
        for code in 200..600 {
            let expected = match code {
                200 => Verdict::Open,
                301 | 302 | 303 | 307 | 308 => Verdict::Redirect,
                _ => Verdict::WrongStatus,
            };
            let status = StatusCode::from_u16(code).unwrap();
            assert_eq!(judge(status, &headers), expected, "{code}");
        }
    }

    #[test]
    fn a_compressed_body_is_not_an_event_stream() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "text/event-stream".parse().unwrap());
        headers.insert(CONTENT_ENCODING, "Identity".parse().unwrap());
        assert_eq!(judge(StatusCode::OK, &headers), Verdict::Open);
        headers.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        assert_eq!(judge(StatusCode::OK, &headers), Verdict::NotAnEventStream);
    }
}
