//! Bad requests, each with its answer; and a check that they leave nothing behind.

use std::time::Duration;

use serde_json::{Value, json};
use tidings_server::AllowedHosts;
use tidings_testkit::http::{Response, request};
use tidings_testkit::server::TestServer;

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");
const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");

fn nothing_is_stored(server: &TestServer) {
    assert_eq!(server.get_json("/events").json()["events"], json!([]));
}

#[test]
fn line_breaks_and_nul_cannot_enter_an_id_or_a_type() {
    let server = TestServer::start();
    for name in ["id", "event"] {
        for bad in ["a%0Db", "a%0Ab", "a%00b", "%0A", "a%0D%0Adata:%20forged", ""] {
            let answer = server.post(&format!("/events/a?{name}={bad}"), "x");
            assert_eq!((answer.status(), answer.code().as_str()), (400, "invalid_field"), "{bad}");
            assert_eq!(answer.json()["field"], name);
            let line = json!({ "topic": "a", name: percent_decoded(bad) }).to_string();
            let answer = server.request("POST", "/events", &[NDJSON], line);
            assert_eq!((answer.status(), answer.code().as_str()), (400, "invalid_field"), "{bad}");
        }
    }
    let sse = [("content-type", "text/event-stream")];
    let answer = server.request("POST", "/events/a", &sse, "event: a\0b\ndata: x\n\n");
    assert_eq!((answer.code().as_str(), &answer.json()["event"]), ("invalid_field", &json!(1)));
    nothing_is_stored(&server);
}

#[test]
fn a_payload_of_any_text_cannot_forge_fields() {
    let server = TestServer::start();
    let mut stream = server.subscribe("/events/a", &[]);
    server.post("/events/a", "x\r\nid: 7\n\ndata: y");
    let event = stream.event().unwrap();
    assert!(event.ends_with("data: x\ndata: id: 7\ndata: \ndata: data: y\n\n"), "{event:?}");
}

#[test]
fn an_id_of_the_hubs_own_form_is_rejected() {
    let server = TestServer::start();
    assert_eq!(server.post("/events/a?id=k7q2ma:5", "x").code(), "invalid_field");
    assert_eq!(server.post("/events/a?event=tidings.reset", "x").code(), "invalid_field");
    assert_eq!(
        server.post(&format!("/events/a?id={}", "x".repeat(2000)), "x").code(),
        "invalid_field"
    );
    nothing_is_stored(&server);
}

#[test]
fn a_body_that_is_not_utf_8_is_rejected() {
    let server = TestServer::start();
    let answer = server.post("/events/a", b"good \xff bad");
    assert_eq!((answer.status(), answer.code().as_str()), (400, "invalid_utf8"));
    assert_eq!(answer.json()["at"], 5);
    assert_eq!(server.post("/events/%ff", "x").code(), "invalid_utf8");
    assert_eq!(server.post("/events/a?event=%ff", "x").code(), "invalid_utf8");
    let answer =
        server.request("POST", "/events", &[NDJSON], b"{\"topic\":\"a\",\"data\":\"\xff\"}");
    assert_eq!((answer.code().as_str(), &answer.json()["line"]), ("invalid_line", &json!(1)));
    nothing_is_stored(&server);
}

#[test]
fn a_body_over_the_limit_is_rejected_with_or_without_a_length() {
    let server = TestServer::builder().config(|config| config.http.event_bytes_max = 1000).start();
    assert_eq!(server.post("/events/a", "x".repeat(1000)).status(), 200);
    let refused = |answer: Response| {
        assert_eq!((answer.status(), answer.code().as_str()), (413, "event_too_large"));
        assert_eq!(answer.json()["bytes_max"], 1000);
    };
    refused(server.post("/events/b", "x".repeat(1001)));
    // Much more than fits into the buffers on the way: the answer must arrive all the same.
    refused(server.post("/events/b", "x".repeat(10_000_000)));
    let chunk = format!("7d0\r\n{}\r\n0\r\n\r\n", "x".repeat(2000));
    let mut connection = server.connect();
    connection.send(request("POST", "/events/b", &[CHUNKED], b""));
    connection.send(chunk);
    refused(connection.response());
    let line = format!("{{\"topic\":\"b\",\"data\":\"{}\"}}\n", "x".repeat(1001));
    refused(server.request("POST", "/events", &[NDJSON], line));
    let sse = [("content-type", "text/event-stream")];
    refused(server.request("POST", "/events/b", &sse, format!("data: {}\n\n", "x".repeat(1001))));
    assert_eq!(server.get_json("/topics").json()["topics"].as_array().unwrap().len(), 1);
}

#[test]
fn a_head_over_the_limit_is_rejected() {
    let server = TestServer::start();
    let long = "x".repeat(40_000);
    assert_eq!(server.request("GET", "/healthz", &[("x", &long)], "").status(), 431);
    assert_eq!(server.request("GET", &format!("/events/{long}"), &[], "").status(), 431);
    let many: Vec<_> = (0..200).map(|_| ("x", "y")).collect();
    assert_eq!(server.request("GET", "/healthz", &many, "").status(), 431);
}

#[test]
fn an_invalid_topic_is_rejected() {
    let server = TestServer::start();
    let long = "x".repeat(4097);
    for topic in ["", &long, "a%0Ab", "a%00", "%7F", "a/*", "**", "a*b"] {
        let answer = server.post(&format!("/events/{topic}"), "x");
        assert_eq!((answer.status(), answer.code().as_str()), (400, "invalid_topic"), "{topic}");
        let answer = server.request("DELETE", &format!("/events/{topic}"), &[], "");
        assert_eq!((answer.status(), answer.code().as_str()), (400, "invalid_topic"), "{topic}");
    }
    assert_eq!(server.post(&format!("/events/{}", "x".repeat(4096)), "x").status(), 200);
    for topic in ["", &long, "a%0Ab", "a*b", "**/a"] {
        let answer = server.get_json(&format!("/events/{topic}"));
        assert_eq!((answer.status(), answer.code().as_str()), (400, "invalid_matcher"), "{topic}");
    }
}

#[test]
fn line_17_of_30_is_named_and_nothing_of_a_short_batch_is_published() {
    let server = TestServer::start();
    let good = r#"{"topic":"a","data":"x"}"#;
    let bad = [
        (r#"{"topic":"a","data":"#, "invalid_line"),
        (r#"{"topic":"a","daat":1}"#, "invalid_line"),
        (r#"["a"]"#, "invalid_line"),
        (r#"{"data":1}"#, "invalid_line"),
        (r#"{"topic":"a/*"}"#, "invalid_topic"),
        (r#"{"topic":"a","event":"b\nc"}"#, "invalid_field"),
    ];
    for (line, code) in bad {
        let mut lines = vec![good; 30];
        lines[16] = line;
        let body = lines.join("\n");
        let answer = server.request("POST", "/events", &[NDJSON], &body);
        assert_eq!((answer.status(), answer.code().as_str()), (400, code), "{line}");
        let json = answer.json();
        assert_eq!((&json["line"], &json["published"]), (&json!(17), &json!(0)));
        assert!(json["detail"].as_str().unwrap().starts_with("line 17: "), "{json}");
        nothing_is_stored(&server);
    }
}

#[test]
fn a_stream_of_events_stops_at_its_bad_line_and_says_how_far_it_came() {
    let server = TestServer::start();
    let mut lines = vec![r#"{"topic":"a","data":"x"}"#; 30];
    lines[16] = "nonsense";
    let body = lines.join("\n");
    let mut connection = server.connect();
    connection.send(request("POST", "/events", &[NDJSON, CHUNKED], b""));
    connection.send(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    let answer = connection.response();
    assert_eq!((answer.status(), answer.code().as_str()), (400, "invalid_line"));
    let json = answer.json();
    assert_eq!((&json["line"], &json["published"]), (&json!(17), &json!(16)));
    assert_eq!(json["last_id"], "k7q2ma:16");
    assert_eq!(server.get_json("/events").json()["events"].as_array().unwrap().len(), 16);
}

/// The publisher is still sending when the answer goes out; it must be able to read it.
#[test]
fn a_long_stream_of_events_gets_its_rejection_too() {
    let server = TestServer::start();
    let mut connection = server.connect();
    connection.send(request("POST", "/events/a", &[NDJSON, CHUNKED], b""));
    let good =
        "{\"data\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}\n".repeat(100);
    for number in 0..300 {
        let body = if number == 10 { "{}}\n" } else { &good };
        connection.send(format!("{:x}\r\n{body}\r\n", body.len()));
    }
    connection.send("0\r\n\r\n");
    let json = connection.response().json();
    assert_eq!((&json["line"], &json["published"]), (&json!(1001), &json!(1000)), "{json}");
}

#[test]
fn unknown_and_invalid_parameters_are_named() {
    let server = TestServer::start();
    let cases = [
        ("GET", "/events/a?lastt=1", "invalid_query", "lastt"),
        ("GET", "/events/a?limit=1", "invalid_query", "limit"),
        ("GET", "/events/a?last=-1", "invalid_parameter", "last"),
        ("GET", "/events/a?last=100000", "invalid_parameter", "last"),
        ("GET", "/events/a?since=soon", "invalid_parameter", "since"),
        ("POST", "/events/a?retry=1s", "invalid_parameter", "retry"),
        ("POST", "/events/a?retry=-5", "invalid_parameter", "retry"),
        ("POST", "/events/a?ttl=", "invalid_parameter", "ttl"),
        ("POST", "/events/a?ttl=0s", "invalid_parameter", "ttl"),
        ("POST", "/events/a?ttl=500ms", "invalid_parameter", "ttl"),
        ("POST", "/events/a?ttl=367d", "invalid_parameter", "ttl"),
        ("POST", "/events/a?ttl=60", "invalid_parameter", "ttl"),
        ("POST", "/events/a?end&ttl=5m", "invalid_query", "ttl"),
        ("DELETE", "/events/a?ttl=5m", "invalid_query", "ttl"),
        ("POST", "/events/a?type=x", "invalid_query", "type"),
        ("DELETE", "/events/a?event=x", "invalid_query", "event"),
        ("GET", "/topics?limit=0", "invalid_parameter", "limit"),
        ("GET", "/topics?limit=9999", "invalid_parameter", "limit"),
        ("GET", "/topics?offset=1", "invalid_query", "offset"),
    ];
    for (method, target, code, parameter) in cases {
        let answer = server.request(method, target, &[], "");
        assert_eq!((answer.status(), answer.code().as_str()), (400, code), "{target}");
        assert_eq!(answer.json()["parameter"], parameter, "{target}");
    }
    for target in
        ["/events/a?wait=5", "/events/a?wait=2h", "/events/a?limit=1001", "/events/a?limit="]
    {
        assert_eq!(server.get_json(target).code(), "invalid_parameter", "{target}");
    }
    for target in ["/events/a?last=1&last=2", "/events/a?last=1&after=x", "/events/a?last=%zz"] {
        assert_eq!(server.get_json(target).code(), "invalid_query", "{target}");
    }
    let many = format!("/events?{}", "topic=a&".repeat(101));
    assert_eq!(server.get_json(&many).code(), "invalid_parameter");
}

#[test]
fn unknown_paths_methods_and_types_have_their_status() {
    let server = TestServer::start();
    assert_eq!(server.get_json("/nowhere").code(), "not_found");
    let answer = server.request("PUT", "/events/a", &[], "x");
    assert_eq!((answer.status(), answer.code().as_str()), (405, "method_not_allowed"));
    assert_eq!(answer.header("allow"), Some("GET, POST, DELETE, HEAD, OPTIONS"));
    assert_eq!(server.request("DELETE", "/events", &[], "").status(), 405);
    assert_eq!(server.request("POST", "/topics", &[], "").status(), 405);
    let answer = server.request("GET", "/events/a", &[("accept", "image/png")], "");
    assert_eq!((answer.status(), answer.code().as_str()), (406, "not_acceptable"));
    let answer = server.post("/events", "x");
    assert_eq!((answer.status(), answer.code().as_str()), (415, "unsupported_media_type"));
    let answer = server.request("OPTIONS", "/events", &[], "");
    assert_eq!((answer.status(), answer.header("allow")), (204, Some("GET, POST, HEAD, OPTIONS")));
}

#[test]
fn a_head_that_trickles_in_is_answered_408() {
    let server = TestServer::builder()
        .config(|config| config.http.head_time_max = Duration::from_millis(100))
        .start();
    for begin in ["GET /healthz HTTP/1.1\r\nho", "P", "G"] {
        let mut connection = server.connect();
        connection.send(begin);
        if begin == "P" {
            // It may be HTTP/2 or a POST: there is no request to answer yet.
            assert!(connection.is_closed());
            continue;
        }
        let answer = connection.response();
        assert_eq!((answer.status(), answer.code().as_str()), (408, "request_timeout"));
        assert!(connection.is_closed());
    }
    // On a connection that was used before, too.
    let mut connection = server.connect();
    connection.send(request("GET", "/healthz", &[], b""));
    assert_eq!(connection.response().status(), 200);
    connection.send("GET /");
    assert_eq!(connection.response().status(), 408);
    // A client that sends nothing at all gets no answer.
    assert!(server.connect().is_closed());
}

#[test]
fn a_body_that_pauses_is_answered_408_and_leaves_nothing() {
    let server = TestServer::builder()
        .config(|config| {
            config.http.body_pause_max = Duration::from_millis(50);
            config.ingest_pause_max = Duration::from_millis(50);
        })
        .start();
    let mut connection = server.connect();
    connection.send(request("POST", "/events/a", &[("content-length", "10")], b"half"));
    let answer = connection.response();
    assert_eq!((answer.status(), answer.code().as_str()), (408, "request_timeout"));
    nothing_is_stored(&server);
    // From a stream, the events before the pause are published.
    let mut connection = server.connect();
    connection.send(request("POST", "/events/a", &[NDJSON, CHUNKED], b""));
    connection.send("d\r\n{\"data\":\"1\"}\n\r\n");
    let answer = connection.response();
    assert_eq!(
        (answer.code().as_str(), &answer.json()["published"]),
        ("request_timeout", &json!(1))
    );
}

#[test]
fn a_body_that_is_cut_short_leaves_nothing() {
    let server = TestServer::start();
    let cut = [
        request("POST", "/events/a", &[("content-length", "10")], b"half"),
        request("POST", "/events/a", &[CHUNKED], b"4\r\nhalf\r\n"),
        request("POST", "/events/a", &[NDJSON, ("content-length", "99")], b"{\"data\":1}\n{\"da"),
        request("POST", "/events/a", &[CHUNKED], b"4\r\nhalf\r\nxyz"),
    ];
    for bytes in cut {
        let mut connection = server.connect();
        connection.send(&bytes);
        connection.finish();
        let answer = connection.response();
        assert_eq!((answer.status(), answer.code().as_str()), (400, "truncated_body"));
        nothing_is_stored(&server);
    }
}

#[test]
fn a_request_in_an_unknown_protocol_is_answered_400() {
    let server = TestServer::start();
    for garbage in ["\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "hello\r\n\r\n", "GET / HTTP/9\r\n\r\n"]
    {
        let mut connection = server.connect();
        connection.send(garbage);
        assert_eq!(connection.head().status, 400, "{garbage:?}");
    }
    // Two lengths that contradict each other are how requests are smuggled.
    let mut connection = server.connect();
    connection.send("POST /events/a HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx");
    assert_eq!(connection.head().status, 400);
    nothing_is_stored(&server);
}

#[test]
fn a_request_with_no_host_two_hosts_or_an_invalid_host_is_rejected() {
    let every = AllowedHosts::new(["*"]).unwrap();
    let server = TestServer::builder().config(|config| config.http.allowed_hosts = every).start();
    let cases = [
        ("GET /healthz HTTP/1.1\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: a\r\nx: y\r\nHOST: b\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost:\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: a b\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: a, b\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: user@a\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: a:b\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: \u{e4}\r\n\r\n", 400),
        ("GET http://a/healthz HTTP/1.1\r\n\r\n", 400),
        ("POST /events/a HTTP/1.1\r\ncontent-length: 1\r\n\r\nx", 400),
        ("GET /events/a HTTP/1.1\r\naccept: text/event-stream\r\n\r\n", 400),
        ("GET /healthz HTTP/1.0\r\nhost: a\r\nhost: a\r\n\r\n", 400),
        ("GET /healthz HTTP/1.0\r\n\r\n", 200),
        ("GET /healthz HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", 200),
        ("GET http://a/healthz HTTP/1.1\r\nhost: a\r\n\r\n", 200),
        ("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", 404),
    ];
    for (bytes, status) in cases {
        let mut connection = server.connect();
        connection.send(bytes);
        let answer = connection.response();
        assert_eq!(answer.status(), status, "{bytes:?}");
        if status == 400 {
            assert_eq!(answer.code(), "invalid_host", "{bytes:?}");
            assert_eq!(answer.header("connection"), Some("close"), "{bytes:?}");
            assert!(connection.is_closed(), "{bytes:?}");
        }
    }
    nothing_is_stored(&server);
    let metrics = server.request("GET", "/metrics", &[], "");
    assert!(metrics.text().contains("tidings_refusals_total{code=\"invalid_host\"} 13\n"));
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        decoded.push(char::from(u8::from_str_radix(digits, 16).unwrap()));
        decoded.push_str(rest);
    }
    decoded
}

#[test]
fn nul_never_enters_a_stream_by_any_route() {
    let server = TestServer::start();
    let ndjson = [("content-type", "application/x-ndjson")];
    let stream = [("content-type", "text/event-stream")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let mercure = "/.well-known/mercure";
    for (target, headers, body) in [
        ("/events/a", &[][..], &b"a\0b"[..]),
        ("/events/a%00b", &[], b"x"),
        ("/events/a?event=a%00b", &[], b"x"),
        ("/events/a?id=a%00b", &[], b"x"),
        ("/events/a", &ndjson, br#"{"data":"a\u0000b"}"#),
        ("/events/a", &ndjson, br#"{"event":"a\u0000b"}"#),
        ("/events", &ndjson, br#"{"topic":"a\u0000b","data":1}"#),
        ("/events/a", &ndjson, b"{\"data\":\"a\0b\"}"),
        ("/events/a", &stream, b"data: a\0b\n\n"),
        ("/events/a", &stream, b"event: a\0b\ndata: x\n\n"),
        (mercure, &form, b"topic=a&data=a%00b"),
        (mercure, &form, b"topic=a%00b&data=x"),
        (mercure, &form, b"topic=a&type=a%00b&data=x"),
        (mercure, &form, b"topic=a&id=a%00b&data=x"),
    ] {
        let answer = server.request("POST", target, headers, body);
        assert_eq!(answer.status(), 400, "{target} {:?}", String::from_utf8_lossy(body));
    }
    nothing_is_stored(&server);
}

#[test]
fn a_compressed_body_is_rejected_on_every_route_and_the_answer_says_what_is_accepted() {
    let server = TestServer::start();
    for coding in ["gzip", "GZIP", "br, identity", "x\u{e9}"] {
        for (method, target, kind) in [
            ("POST", "/events/a", "text/plain"),
            ("POST", "/events/a", "text/event-stream"),
            ("POST", "/events", "application/x-ndjson"),
            ("DELETE", "/events/a", "text/plain"),
            ("POST", "/.well-known/mercure", "application/x-www-form-urlencoded"),
            ("QUERY", "/.well-known/mercure", "application/x-www-form-urlencoded"),
        ] {
            let headers = [("content-type", kind), ("content-encoding", coding)];
            let answer = server.request(method, target, &headers, "topic=a&data=x");
            assert_eq!(answer.status(), 415, "{method} {target} {kind} {coding}");
            assert_eq!(answer.header("accept-encoding"), Some("identity"));
        }
    }
    nothing_is_stored(&server);
    for coding in ["identity", "Identity, identity", ""] {
        let answer = server.request("POST", "/events/a", &[("content-encoding", coding)], "x");
        assert_eq!(answer.status(), 200, "{coding}");
    }
}

#[test]
fn a_byte_beyond_ascii_invalidates_only_its_own_header() {
    let server = TestServer::start();
    let body = "{\"topic\":\"a\",\"id\":\"\u{e9}\"}\n";
    let length = body.len().to_string();
    for foreign in [&b"\xe9"[..], "\u{e9}".as_bytes()] {
        let mut connection = server.connect();
        for part in [
            b"POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: ",
            length.as_bytes(),
            b"\r\ncontent-type: application/x-ndjson; x=",
            foreign,
            b"\r\n\r\n",
            body.as_bytes(),
        ] {
            connection.send(part);
        }
        assert_eq!(connection.response().status(), 200);

        let mut connection = server.connect();
        for part in [
            b"GET /events/a HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream, x/",
            foreign,
            b"\r\nlast-event-id: ",
            foreign,
            b"\r\n\r\n",
        ] {
            connection.send(part);
        }
        let head = connection.head();
        assert_eq!((head.status, head.header("tidings-resume")), (200, Some("resumed")));
    }
}

/// When a hub says "come back in a day", its own client comes back in a day.
#[test]
fn the_client_obeys_every_retry_that_a_hub_lets_a_publisher_set() {
    use tidings_client::limits::{RECONNECTION_TIME_MAX, RECONNECTION_TIME_MIN};
    let bounds = tidings_server::limits::EVENT_RETRY;
    assert_eq!(bounds, RECONNECTION_TIME_MIN..=RECONNECTION_TIME_MAX);
    let reference = include_str!("../../../docs/reference/http.md");
    let (shortest, longest) = (bounds.start().as_millis(), bounds.end().as_millis());
    let doors = reference.matches(&format!("between {shortest} and {longest}")).count();
    assert_eq!(doors, 5, "a body of each kind, a query of each method and a form");
}

/// All subscribers obey a `retry`: zero makes them reconnect in a storm while the hub is down, and
/// a century keeps them away.
#[test]
fn a_retry_from_a_publisher_has_a_floor_and_a_ceiling_on_every_route() {
    let server = TestServer::start();
    let ndjson = [("content-type", "application/x-ndjson")];
    let sse = [("content-type", "text/event-stream")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (given, sent) in
        [("0", 100), ("99", 100), ("500", 500), ("18446744073709551615", 86_400_000)]
    {
        let topic = format!("retry/{given}");
        let path = format!("/events/{topic}");
        server.post(&format!("{path}?retry={given}"), "x");
        server.request("POST", &path, &ndjson, format!("{{\"retry\":{given},\"data\":\"x\"}}"));
        server.request("POST", &path, &sse, format!("retry: {given}\ndata: x\n\n"));
        server.request(
            "POST",
            "/.well-known/mercure",
            &form,
            format!("topic={topic}&data=x&retry={given}"),
        );
        let page = server.get_json(&path).json();
        let events = page["events"].as_array().unwrap();
        assert_eq!(events.len(), 4, "{page}");
        for (door, event) in events.iter().enumerate() {
            // In Mercure, zero means that there is none.
            let expected = if (door, given) == (3, "0") { Value::Null } else { Value::from(sent) };
            assert_eq!(event["retry"], expected, "route {door}, retry {given}");
        }
    }
}
