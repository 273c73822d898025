#![allow(clippy::unwrap_used)]

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderValue};

use super::compared::is_read;
use super::request::{self, Unread};
use super::response;
use crate::answer;
use crate::limits::{HEAD_BYTES_MAX, SHORT_ANSWER_BYTES_MAX, SHORT_REQUEST_BYTES_MAX};

/// What clients send that publish one event.
const SHORT: [&str; 6] = [
    "POST /events/a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
    "POST /events/a HTTP/1.1\r\nHost: 127.0.0.1:4080\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\
     Content-Length: 5\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nhello",
    "POST /events/b%20c?event=x&id=1 HTTP/1.1\r\nhost: a\r\nconnection: keep-alive\r\n\
     content-type: text/plain;charset=UTF-8\r\ncontent-length: 2\r\n\r\n\r\n",
    "POST /.well-known/other HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x.y.z\r\n\
     Content-Length: 7\r\n\r\ntopic=a",
    "POST / HTTP/1.1\r\nhost: a\r\nx: \u{e4}\r\nX: b\r\ncontent-length: 0\r\n\r\n",
    "POST /x HTTP/1.1\nHost:a\nContent-Length: 004\n\n\0\r\n.",
];

/// What only the HTTP library may read.
const OTHER: [&str; 23] = [
    // Not all of it, or more than that.
    "",
    "POST /events/a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n",
    "POST /events/a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello!",
    "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\nPOST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
    // The length is not known, or in doubt.
    "POST /events/a HTTP/1.1\r\nhost: a\r\n\r\n",
    "POST /events/a HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx",
    "POST /events/a HTTP/1.1\r\ncontent-length: 1, 1\r\n\r\nx",
    "POST /events/a HTTP/1.1\r\ncontent-length: +1\r\n\r\nx",
    "POST /events/a HTTP/1.1\r\ncontent-length: 0x1\r\n\r\nx",
    "POST /events/a HTTP/1.1\r\ncontent-length:\r\n\r\n",
    "POST /events/a HTTP/1.1\r\ncontent-length : 1\r\n\r\nx",
    "POST /events/a HTTP/1.1\r\ncontent-length: 18446744073709551617\r\n\r\nx",
    "POST /events/a HTTP/1.1\r\ncontent-length: 18446744073709551615\r\n\r\nx",
    "POST /events/a HTTP/1.1\r\ncontent-length: 9000\r\n\r\nx",
    "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nTransfer-Encoding: identity\r\ncontent-length: 1\r\n\r\nx",
    // Something else is asked for.
    "POST /a HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\nx",
    "POST /a HTTP/1.1\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx",
    "POST /a HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 1\r\n\r\nx",
    // Another method, version or form.
    "PUT /a HTTP/1.1\r\ncontent-length: 1\r\n\r\nx",
    "POST /a HTTP/1.0\r\ncontent-length: 1\r\n\r\nx",
    "POST http://a/b HTTP/1.1\r\ncontent-length: 1\r\n\r\nx",
    "POST /a HTTP/1.1\r\nfolded: a\r\n b\r\ncontent-length: 1\r\n\r\nx",
];

#[test]
fn what_publishers_send_is_read_as_the_library_reads_it_and_nothing_else_is() {
    for message in SHORT {
        assert!(is_read(message.as_bytes()), "{message:?}");
    }
    for message in OTHER {
        assert!(!is_read(message.as_bytes()), "{message:?}");
        assert!(!is_begun(message.as_bytes()), "{message:?}");
    }
    let fields = |count| "x: y\r\n".repeat(count);
    let with = |count| format!("POST /a HTTP/1.1\r\n{}content-length: 0\r\n\r\n", fields(count));
    assert!(is_read(with(31).as_bytes()));
    assert!(!is_read(with(32).as_bytes()));
}

#[test]
fn a_request_is_begun_from_the_end_of_its_head_to_the_end_of_its_body() {
    for message in SHORT {
        let (crlf, lf) = (message.find("\r\n\r\n"), message.find("\n\n"));
        let body = crlf.map(|at| at + 4).or(lf.map(|at| at + 2)).unwrap();
        for end in 0..message.len() {
            assert_eq!(is_begun(&message.as_bytes()[..end]), end >= body, "{message:?} to {end}");
        }
        assert!(!is_begun(message.as_bytes()), "{message:?}");
    }
    // Of the longest that is read, and of one byte more.
    let head = |length| format!("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    let longest = SHORT_REQUEST_BYTES_MAX - head(8000).len();
    assert!(is_begun(head(longest).as_bytes()));
    assert!(!is_begun(head(longest + 1).as_bytes()));
}

fn is_begun(message: &[u8]) -> bool {
    let read = request::read(&Bytes::copy_from_slice(message), HEAD_BYTES_MAX);
    read.is_err_and(|unread| unread == Unread::Begun)
}

#[test]
fn a_damaged_request_is_read_as_the_library_reads_it_or_left_to_it() {
    const WORDS: [&str; 16] = [
        "\r\n",
        "\n",
        "\r",
        "\0",
        " ",
        "\t",
        ":",
        ",",
        "5",
        "0",
        "content-length: 5\r\n",
        "transfer-encoding: chunked\r\n",
        "HTTP/1.0",
        "\u{e9}",
        "POST / HTTP/1.1\r\n",
        "%",
    ];
    let mut read = 0;
    for seed in 0..20_000_u64 {
        let random = |what: u64, below: usize| {
            let mut hasher = DefaultHasher::new();
            (seed, what).hash(&mut hasher);
            (hasher.finish() % below as u64) as usize
        };
        let mut message = SHORT[random(0, SHORT.len())].as_bytes().to_vec();
        for round in 0..=random(1, 2) as u64 {
            let from = random(10 * round + 2, message.len() + 1);
            let to = (from + random(10 * round + 3, 4)).min(message.len());
            let word = WORDS[random(10 * round + 4, WORDS.len())];
            message.splice(from..to, word.bytes());
        }
        read += usize::from(is_read(&message));
    }
    // Else the test says nothing.
    assert!((1_000..19_000).contains(&read), "{read}");
}

fn written(response: &crate::response_body::Response) -> Option<String> {
    let mut bytes = Vec::new();
    let is_written = response::write(response, &mut bytes);
    assert_eq!(is_written, !bytes.is_empty());
    is_written.then(|| String::from_utf8(bytes).unwrap())
}

#[test]
fn a_whole_response_is_written_with_its_length_and_the_date() {
    let text = written(&answer::json("{}")).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.split("\r\n").collect();
    let date = lines.pop().unwrap().strip_prefix("date: ").unwrap();
    assert!(httpdate::parse_http_date(date).is_ok(), "{date}");
    let expected = [
        "HTTP/1.1 200 OK",
        "content-type: application/json",
        "cache-control: no-store",
        "content-length: 2",
    ];
    assert_eq!((&lines[..], body), (&expected[..], "{}"));

    let empty = written(&answer::empty(StatusCode::CREATED)).unwrap();
    assert!(empty.starts_with("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n"), "{empty}");
    let without = written(&answer::empty(StatusCode::NO_CONTENT)).unwrap();
    assert!(without.starts_with("HTTP/1.1 204 No Content\r\ndate: "), "{without}");
}

#[test]
fn any_other_response_is_left_to_the_library() {
    assert!(written(&answer::cut(StatusCode::OK, "text/plain", "x")).is_none());
    assert!(written(&answer::empty(StatusCode::NOT_MODIFIED)).is_none());
    assert!(written(&answer::empty(StatusCode::CONTINUE)).is_none());
    assert!(written(&answer::empty(StatusCode::from_u16(599).unwrap())).is_none());
    let long = |length| answer::json(vec![b'x'; length]);
    assert!(written(&long(SHORT_ANSWER_BYTES_MAX)).is_some());
    assert!(written(&long(SHORT_ANSWER_BYTES_MAX + 1)).is_none());
    for name in [header::CONNECTION, header::CONTENT_LENGTH, header::DATE, header::UPGRADE] {
        let mut response = answer::json("{}");
        response.headers_mut().insert(name, HeaderValue::from_static("close"));
        assert!(written(&response).is_none());
    }
}
