use crate::body::Body;

/// The parts of a response head that the generator needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status code.
    pub(crate) status: u16,
    /// How the body is framed.
    pub(crate) body: Body,
    /// Whether the connection ends with this response.
    pub(crate) close: bool,
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

/// Parses a head (RFC 9112) whose end [`end`] found; `None` if it is not one.
pub(crate) fn parse(head: &[u8]) -> Option<Head> {
    let text = str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut status_line = lines.next()?.split(' ');
    let http_10 = match status_line.next()? {
        "HTTP/1.1" => false,
        "HTTP/1.0" => true,
        _ => return None,
    };
    let status = status_line.next()?.parse().ok()?;
    let mut head = Head { status, body: Body::UntilClose, close: http_10, resume: None };
    let (mut chunked, mut length) = (false, None);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse().ok()?);
        } else if name.eq_ignore_ascii_case("connection") {
            head.close = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("tidings-resume") {
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
    fn bytes_that_are_not_http_are_not_a_head() {
        assert_eq!(parse(b"SSH-2.0-x\r\n\r\n"), None);
    }
}
