use httparse::ParserConfig;

use crate::body::Body;
use crate::limits::HEAD_FIELDS_MAX;

/// The parts of a response head that the generator needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status code.
    pub(crate) status: u16,
    /// How the body is framed.
    pub(crate) body: Body,
    /// Whether the connection ends with this response.
    pub(crate) close: bool,
    /// The media type without parameters, in lower case.
    pub(crate) media_type: String,
    /// `Tidings-Resume`, where the server is ours.
    pub(crate) resume: Option<Resume>,
}

/// What Tidings says about a resumed connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    Live,
    Resumed,
    Reset,
}

/// The length of the head in `bytes`, including its blank line.
pub(crate) fn end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Parses a head whose end [`end`] found; `None` if it is not one, or has more than
/// [`HEAD_FIELDS_MAX`] fields.
pub(crate) fn parse(bytes: &[u8]) -> Option<Head> {
    let mut fields = [httparse::EMPTY_HEADER; HEAD_FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    // What is measured may be any server: what other clients read counts as a head.
    ParserConfig::default()
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .parse_response(&mut response, bytes)
        .ok()?;
    let (status, is_http_10) = (response.code?, response.version? == 0);
    let mut head = Head {
        status,
        body: Body::UntilClose,
        close: is_http_10,
        media_type: String::new(),
        resume: None,
    };
    let (mut chunked, mut length) = (false, None);
    for field in response.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        // A field that is not text is none of those that count.
        let Ok(value) = str::from_utf8(field.value).map(str::trim) else { continue };
        if is("transfer-encoding") {
            chunked = value.eq_ignore_ascii_case("chunked");
        } else if is("content-length") {
            length = Some(value.parse().ok()?);
        } else if is("connection") {
            head.close = value.eq_ignore_ascii_case("close");
        } else if is("content-type") {
            let essence = value.split(';').next().unwrap_or_default();
            head.media_type = essence.trim().to_ascii_lowercase();
        } else if is("tidings-resume") {
            head.resume = match value {
                "live" => Some(Resume::Live),
                "resumed" => Some(Resume::Resumed),
                "reset" => Some(Resume::Reset),
                _ => None,
            };
        }
    }
    head.body = match (chunked, length) {
        _ if status == 204 || status == 304 || status < 200 => Body::Ended,
        (true, _) => Body::CHUNKED,
        (false, Some(0)) => Body::Ended,
        (false, Some(length)) => Body::Length(length),
        (false, None) => Body::UntilClose,
    };
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Head {
        assert_eq!(end(head.as_bytes()), Some(head.len()));
        parse(head.as_bytes()).expect("a head")
    }

    #[test]
    fn framing_is_read_from_the_header_that_gives_it() {
        let head = parsed("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!((head.status, head.body, head.close), (200, Body::CHUNKED, false));
        let head =
            parsed("HTTP/1.1 201 Created\r\nContent-Length: 12\r\nConnection: close\r\n\r\n");
        assert_eq!((head.status, head.body, head.close), (201, Body::Length(12), true));
        assert_eq!(parsed("HTTP/1.1 204 No Content\r\n\r\n").body, Body::Ended);
        assert_eq!(parsed("HTTP/1.1 200 OK\r\n\r\n").body, Body::UntilClose);
    }

    #[test]
    fn a_field_that_is_not_text_voids_no_head() {
        let head = parse(b"HTTP/1.1 200 OK\r\nX-Who: J\xf6rg\r\nContent-Length: 3\r\n\r\n");
        assert_eq!(head.expect("a head").body, Body::Length(3));
    }

    #[test]
    fn an_http_1_0_connection_ends_with_its_response_unless_that_says_otherwise() {
        assert!(parsed("HTTP/1.0 200 OK\r\n\r\n").close);
        assert!(!parsed("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n").close);
    }

    #[test]
    fn what_is_not_http_is_no_head() {
        let many = "x: y\r\n".repeat(HEAD_FIELDS_MAX + 1);
        for text in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 ok\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            &format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
