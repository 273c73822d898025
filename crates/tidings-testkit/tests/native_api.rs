//! The native API as its users see it: publishing, subscribing, ending.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tidings_testkit::http::{Connection, request};
use tidings_testkit::server::{EPOCH, TestServer, is_portable};

fn id(position: u64) -> String {
    format!("{EPOCH}:{position}")
}

#[test]
fn a_publish_is_answered_with_its_id_and_reaches_subscribers() {
    for server in TestServer::both_engines() {
        let mut stream = server.subscribe("/events/room/1", &[]);
        let answer = server.post("/events/room/1?event=chat&retry=700", "two\nlines");
        assert_eq!((answer.status(), answer.json()), (200, json!({ "id": id(1) })));
        let expected =
            format!("event: chat\nid: {}\nretry: 700\ndata: two\ndata: lines\n\n", id(1));
        assert_eq!(stream.event(), Some(expected));
    }
}

/// M1, on the side of HTTP/1.1.
#[test]
fn a_stream_has_the_specified_headers_and_begins_with_one_block_of_an_id_and_a_retry() {
    for server in TestServer::both_engines() {
        server.post("/events/a", "before");
        let mut connection = server.connect();
        connection.send(request("GET", "/events/a", &[("accept", "text/event-stream")], b""));
        let head = connection.head();
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        assert_eq!(head.header("connection"), Some("keep-alive"));
        assert_eq!(head.header("transfer-encoding"), Some("chunked"));
        assert_eq!(head.header("tidings-resume"), Some("live"));
        assert_eq!(head.header("x-accel-buffering"), Some("no"));
        assert!(
            head.header("cache-control").unwrap().split(", ").any(|option| option == "no-cache")
        );
        assert!(head.header("date").unwrap().ends_with(" GMT"));
        let block = connection.block().unwrap();
        let before = format!("event: tidings.open\nid: {}\nretry: ", id(1));
        let ms: u64 = block.strip_prefix(&before).unwrap().trim().parse().unwrap();
        assert!((1000..=3000).contains(&ms), "{ms}");
    }
}

#[test]
fn both_engines_send_the_same_head_and_the_same_bytes() {
    let [direct, portable] = TestServer::both_engines().map(|server| {
        server.post("/events/a", "one");
        let mut stream = server.connect();
        stream.send(request("GET", "/events/a?last=1", &[("accept", "text/event-stream")], b""));
        let mut head = stream.head();
        // What they say of time differs.
        head.headers.retain(|(name, _)| name != "date" && name != "server-timing");
        head.headers.sort();
        let blocks: Vec<_> = (0..2).filter_map(|_| stream.block()).collect();
        (
            head.headers,
            // The time to wait differs, in number and so in nothing else.
            blocks
                .into_iter()
                .map(|block| block.split("retry").next().unwrap().to_owned())
                .collect::<Vec<_>>(),
        )
    });
    assert_eq!(direct, portable);
}

#[test]
fn a_connection_that_was_used_before_can_become_a_stream() {
    let server = TestServer::start();
    let mut connection = server.connect();
    // Pipelined, so that the stream is requested before the answers have been read.
    let mut requests = request("POST", "/events/a", &[], b"one");
    requests.extend(request("POST", "/events/a", &[], b"two"));
    requests.extend(request("GET", "/events/a?last=5", &[], b""));
    connection.send(requests);
    assert_eq!(connection.response().json(), json!({ "id": id(1) }));
    assert_eq!(connection.response().json(), json!({ "id": id(2) }));
    assert_eq!(connection.head().header("tidings-resume"), Some("resumed"));
    assert_eq!(connection.event(), Some(format!("id: {}\ndata: one\n\n", id(1))));
    assert_eq!(connection.event(), Some(format!("id: {}\ndata: two\n\n", id(2))));
}

/// The socket is not handed over while an answer still waits for its reader.
#[test]
fn answers_that_wait_for_their_reader_go_out_before_the_stream() {
    let server = TestServer::start();
    server.post("/events/a", "x".repeat(1 << 20));
    let mut connection = server.connect();
    let accept = [("accept", "application/json")];
    // More than the buffers on the way hold.
    let pages = 16;
    let mut requests = request("GET", "/events/a", &accept, b"").repeat(pages);
    requests.extend(request("GET", "/events/a", &[], b""));
    connection.send(requests);
    for _ in 0..pages {
        let page = connection.response();
        assert_eq!(page.json()["events"][0]["data"].as_str().unwrap().len(), 1 << 20);
    }
    assert_eq!(connection.head().header("content-type"), Some("text/event-stream"));
    assert!(connection.block().unwrap().starts_with("event: tidings.open\n"));
}

/// M6, in the server: a client that leaves while it is being accepted leaves nothing behind.
#[test]
fn a_subscriber_that_leaves_is_forgotten() {
    for server in TestServer::both_engines() {
        for number in 0..200 {
            let mut connection = server.connect();
            connection.send(request("GET", "/events/a", &[], b""));
            if number % 2 == 0 {
                connection.head();
            }
        }
        while server.engine().status().subscribers > 0 {
            std::thread::yield_now();
        }
        server.post("/events/a", "x");
    }
}

#[test]
fn http_1_0_gets_a_stream_without_chunks() {
    let server = TestServer::start();
    server.post("/events/a", "x");
    let mut connection = server.connect();
    connection.send("GET /events/a?last=1 HTTP/1.0\r\nhost: localhost\r\n\r\n");
    let head = connection.head();
    assert_eq!((head.header("transfer-encoding"), head.header("connection")), (None, None));
    assert_eq!(connection.event(), Some(format!("id: {}\ndata: x\n\n", id(1))));
}

#[test]
fn head_has_the_headers_of_get() {
    let server = TestServer::start();
    let mut connection = server.connect();
    connection.send(request("HEAD", "/events/a", &[], b""));
    let head = connection.head();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    connection.send(request("GET", "/healthz", &[], b""));
    assert_eq!(connection.response().status(), 200);
    assert_eq!(server.engine().status().subscribers, 0);
}

#[test]
fn several_topics_and_patterns_are_one_stream() {
    let server = TestServer::start();
    let mut several = server.subscribe("/events?topic=a&topic=b%2F*", &[]);
    let mut rest = server.subscribe("/events/b/**", &[]);
    let mut everything = server.subscribe("/events", &[]);
    for topic in ["a", "b/1", "b/1/2", "c"] {
        server.post(&format!("/events/{topic}"), topic);
    }
    let data = |stream: &mut Connection, count| {
        let events = (0..count).map(|_| stream.event().unwrap());
        let data = events.map(|event| event.trim().rsplit(' ').next().unwrap().to_owned());
        data.collect::<Vec<_>>()
    };
    assert_eq!(data(&mut several, 2), ["a", "b/1"]);
    assert_eq!(data(&mut rest, 2), ["b/1", "b/1/2"]);
    assert_eq!(data(&mut everything, 4), ["a", "b/1", "b/1/2", "c"]);
}

#[test]
fn a_topic_is_percent_decoded() {
    let server = TestServer::start();
    server.post("/events/gr%C3%BC%C3%9Fe%2F%25+x", "1");
    let topics = server.get_json("/topics").json();
    assert_eq!(topics["topics"][0]["topic"], "grüße/%+x");
}

#[test]
fn a_stream_of_events_ends_at_a_reused_id_and_nothing_after_it_is_published() {
    let server = TestServer::start();
    server.post("/events/a?id=600", "another");
    let headers = [("content-type", "application/x-ndjson"), ("transfer-encoding", "chunked")];
    let mut publisher = server.connect();
    publisher.send(request("POST", "/events/a", &headers, b""));
    // Several batches are in flight when the first one turns out to be wrong.
    let line = |n: u64| format!("{{\"id\":\"{n}\",\"data\":\"{n:01000}\"}}\n");
    let lines: String = (1..=5000).map(line).collect();
    publisher.send(chunk(&lines));
    publisher.send("0\r\n\r\n");
    let problem = publisher.response().json();
    assert_eq!(
        (&problem["code"], &problem["line"]),
        (&json!("id_reused"), &json!(600)),
        "{problem}"
    );
    assert_eq!((&problem["published"], &problem["last_id"]), (&json!(599), &json!("599")));
    let last = server.get_json("/events/a?last=1").json();
    assert_eq!(last["events"][0]["id"], "599");
    assert_eq!(server.get_json("/stats").json()["published"], 600);
}

#[test]
fn a_reader_resumes_after_the_oldest_event_with_its_id_on_a_requested_topic() {
    let server = TestServer::start();
    for (topic, id) in [("x", "1"), ("a", "1"), ("b", "1"), ("a", "2"), ("b", "2"), ("x", "9")] {
        server.post(&format!("/events/{topic}?id={id}"), format!("{topic}{id}"));
    }
    for (topics, after, expected) in [
        ("topic=a", "1", &["a2"][..]),
        ("topic=b", "1", &["b2"]),
        ("topic=a&topic=b", "1", &["b1", "a2", "b2"]),
        ("topic=*", "1", &["a1", "b1", "a2", "b2", "x9"]),
        // An id of another topic is a place in the log like others.
        ("topic=a", "9", &[]),
        ("topic=c&topic=a", "2", &[]),
    ] {
        let page = server.get_json(&format!("/events?{topics}&after={after}")).json();
        let found: Vec<_> = page["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["data"].as_str().unwrap())
            .collect();
        assert_eq!(found, expected, "{topics} after {after}");
        if let Some(first) = expected.first() {
            let path = format!("/events?{topics}");
            let mut stream = server.subscribe(&path, &[("last-event-id", after)]);
            assert!(stream.event().unwrap().ends_with(&format!("data: {first}\n\n")));
        }
    }
}

#[test]
fn a_batch_is_published_in_order_and_summed_up() {
    let server = TestServer::start();
    let lines = [
        r#"{"topic":"a","data":"one"}"#,
        r#"{"topic":"b","data":{"n": 2}}"#,
        r#"{"topic":"a","id":"x","data":3}"#,
        r#"{"topic":"a","id":"x","data":3}"#,
    ];
    let lines = lines.join("\n");
    let ndjson = [("content-type", "application/x-ndjson; charset=utf-8")];
    let expected = json!({ "published": 3, "duplicates": 1, "first_id": id(1), "last_id": "x" });
    assert_eq!(server.request("POST", "/events", &ndjson, lines).json(), expected);
    let mut stream = server.subscribe("/events?last=10", &[]);
    assert_eq!(stream.event(), Some(format!("id: {}\ndata: one\n\n", id(1))));
    assert_eq!(stream.event(), Some(format!("id: {}\ndata: {{\"n\":2}}\n\n", id(2))));
    assert_eq!(stream.event(), Some("id: x\ndata: 3\n\n".to_owned()));
    let empty = server.request("POST", "/events", &ndjson, "\n");
    assert_eq!(empty.json()["last_id"], Value::Null);
}

#[test]
fn a_stream_of_events_is_published_as_it_comes() {
    let server = TestServer::start();
    let mut stream = server.subscribe("/events/a", &[]);
    let mut publisher = server.connect();
    let headers = [("content-type", "application/x-ndjson"), ("transfer-encoding", "chunked")];
    publisher.send(request("POST", "/events/a", &headers, b""));
    for number in 1..=3 {
        // Each event arrives before the next is sent.
        publisher.send(chunk(&format!("{{\"data\":{number}}}\n")));
        assert_eq!(stream.event(), Some(format!("id: {}\ndata: {number}\n\n", id(number))));
    }
    publisher.send("0\r\n\r\n");
    let summary = publisher.response().json();
    assert_eq!(summary["published"], 3);
}

#[test]
fn a_long_stream_of_events_keeps_its_order() {
    let server = TestServer::start();
    let mut publisher = server.connect();
    let headers = [("content-type", "application/x-ndjson"), ("transfer-encoding", "chunked")];
    publisher.send(request("POST", "/events/a", &headers, b""));
    let count = 50_000;
    for numbers in (0..count).collect::<Vec<_>>().chunks(997) {
        let lines: String =
            numbers.iter().map(|n| format!("{{\"data\":\"{n:0100}\"}}\n")).collect();
        publisher.send(chunk(&lines));
    }
    publisher.send("0\r\n\r\n");
    assert_eq!(publisher.response().json()["published"], count);
    let mut stream = server.subscribe("/events/a?since=1h", &[]);
    for number in 0..count {
        let event = stream.event().unwrap();
        assert!(event.ends_with(&format!("data: {number:0100}\n\n")), "{number}: {event}");
    }
}

#[test]
fn one_hub_can_be_piped_into_another() {
    let upstream = TestServer::builder().epoch("upstrm").start();
    let downstream = TestServer::start();
    let sse = [("content-type", "text/event-stream")];
    let text = "retry: 10\n\nevent: greeting\nid: 7\ndata: hello\ndata: world\n\n\
                : a comment\ndata: plain\n\nevent: tidings.reset\ndata: {}\n\ndata: cut o";
    let summary = upstream.request("POST", "/events/a", &sse, text).json();
    assert_eq!((&summary["published"], &summary["first_id"]), (&json!(2), &json!("7")));
    let mut stream = upstream.subscribe("/events/a?last=2", &[]);
    let blocks: String = (0..3).map(|_| stream.block().unwrap()).collect();
    for (published, duplicates) in [(2, 0), (0, 2)] {
        let summary = downstream.request("POST", "/events/b", &sse, &blocks).json();
        assert_eq!(summary["published"], published, "{summary}");
        assert_eq!(summary["duplicates"], duplicates, "{summary}");
    }
    let page = downstream.get_json("/events/b").json();
    assert_eq!(page["events"][0]["data"], "hello\nworld");
    assert_eq!(page["events"][0]["event"], "greeting");
}

/// M5.
#[test]
fn an_ended_topic_sends_a_last_event_and_keeps_browsers_away() {
    for server in TestServer::both_engines() {
        assert_eq!(server.request("DELETE", "/events/a", &[], "").code(), "topic_unknown");
        server.post("/events/a", "x");
        let mut stream = server.subscribe("/events/a", &[]);
        let mut wider = server.subscribe("/events/*", &[]);
        let ended = server.request("DELETE", "/events/a", &[], "");
        assert_eq!((ended.status(), ended.json()), (200, json!({ "id": id(2) })));
        let end =
            |retry| format!("event: end\nid: {}\n{retry}data: {{\"topic\":\"a\"}}\n\n", id(2));
        let last = end("retry: 86400000\n");
        assert_eq!(stream.event(), Some(last.clone()));
        assert_eq!(stream.block(), None);
        assert!(!stream.is_cut(), "a clean end says that there is no more");
        let sse = [("accept", "text/event-stream")];
        let again = server.request("GET", "/events/a", &sse, "");
        assert_eq!(again.status(), 204);
        let resumed = [("accept", "text/event-stream"), ("last-event-id", &id(2))];
        assert_eq!(server.request("GET", "/events/a", &resumed, "").status(), 204);
        // A subscriber that has not seen the end gets it first.
        let mut behind = server.subscribe("/events/a", &[("last-event-id", &id(1))]);
        assert_eq!(behind.event(), Some(last));
        assert_eq!(behind.event(), None);
        // Ending it again changes nothing; publishing to it reopens it.
        assert_eq!(server.request("DELETE", "/events/a", &[], "").json()["duplicate"], true);
        server.post("/events/a", "y");
        let mut revived = server.subscribe("/events/a", &[]);
        server.post("/events/a", "z");
        assert_eq!(revived.event(), Some(format!("id: {}\ndata: z\n\n", id(4))));
        // A subscriber to more than the topic stays connected.
        assert_eq!(wider.event(), Some(end("")));
        assert_eq!(wider.event(), Some(format!("id: {}\ndata: y\n\n", id(3))));
    }
}

#[test]
fn a_subscriber_without_room_is_asked_to_come_back() {
    let server = TestServer::builder().engine(|engine| engine.subscribers_max = 1).start();
    let _first = server.subscribe("/events/a", &[]);
    let mut second = server.connect();
    second.send(request("GET", "/events/a", &[("accept", "text/event-stream")], b""));
    let answer = second.response();
    assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let block = answer.text().strip_prefix("event: tidings.open\n: ").unwrap();
    let (_, retry) = block.split_once("\nretry: ").unwrap();
    let ms: u64 = retry.trim().parse().unwrap();
    assert!((5_000..=15_000).contains(&ms));
    assert!(second.is_cut(), "a clean end would say that there is no more");
    assert!(second.is_closed());
}

#[test]
fn subscribers_do_not_use_up_the_connections() {
    if is_portable() {
        return; // in that engine, a subscriber's connection stays with the HTTP library
    }
    let server = TestServer::builder().config(|config| config.http.connections_max = 1).start();
    let mut streams = [(); 5].map(|()| server.subscribe("/events/a", &[]));
    server.post("/events/a", "x");
    for stream in &mut streams {
        assert!(stream.event().unwrap().ends_with("data: x\n\n"));
    }
    // A connection that arrives while another is being served is served next.
    let mut first = server.connect();
    first.send(request("GET", "/healthz", &[], b""));
    assert_eq!(first.response().status(), 200);
    let mut second = server.connect();
    second.send(request("GET", "/healthz", &[], b""));
    drop(first);
    assert_eq!(second.response().status(), 200);
}

#[test]
fn a_server_that_shuts_down_ends_its_streams_and_finishes_begun_requests() {
    let server = TestServer::start();
    let mut stream = server.subscribe("/events/a", &[]);
    let mut polling = server.connect();
    let accept = [("accept", "application/json")];
    polling.send(request("GET", "/events/a?after=k7q2ma:0&wait=50s", &accept, b""));
    let mut publisher = server.connect();
    let headers = [("content-type", "application/x-ndjson"), ("transfer-encoding", "chunked")];
    publisher.send(request("POST", "/events/a", &headers, b""));
    publisher.send(chunk("{\"data\":1}\n"));
    stream.event().unwrap();
    // The long poll gets its event, and the stream of events learns how far it got.
    assert_eq!(polling.response().json()["events"][0]["data"], "1");
    server.stop();
    let stopped = publisher.response();
    assert_eq!((stopped.code().as_str(), &stopped.json()["published"]), ("draining", &json!(1)));
    assert!(stopped.header("retry-after").is_some());
    assert!(stream.is_cut(), "the topic has not ended");
}

#[test]
fn the_hub_reports_its_health_and_its_topics() {
    let server = TestServer::start();
    assert_eq!(server.get_json("/healthz").json(), json!({ "status": "ok" }));
    assert_eq!(server.get_json("/readyz").json(), json!({ "status": "ready" }));
    assert_eq!(server.get_json("/openapi.json").json()["info"]["title"], "Tidings");
    assert!(server.get_json("/").header("content-type").unwrap().starts_with("text/html"));
    for topic in ["a", "b/1", "b/2", "b/2"] {
        server.post(&format!("/events/{topic}"), "x");
    }
    let page = |query: &str| {
        let mut page = server.get_json(&format!("/topics?{query}")).json();
        assert!(page["topics"][0]["bytes"].take().as_u64() > Some(0));
        page
    };
    let entry = |topic: &str, events: u64, first: u64, last: u64| {
        json!({
            "topic": topic, "events": events, "bytes": null, "keys": 0,
            "first_id": id(first), "last_id": id(last), "ended": false, "subscribers": 0
        })
    };
    let expected = json!({ "topics": [entry("b/1", 1, 2, 2)], "next": "b/1" });
    assert_eq!(page("prefix=b&limit=1"), expected);
    let expected = json!({ "topics": [entry("b/2", 2, 3, 4)] });
    assert_eq!(page("prefix=b&after=b/1"), expected);
}

/// M1, over HTTP/2, with an independent client.
#[test]
fn curl_speaks_http_2_with_prior_knowledge() {
    let server = TestServer::start();
    let curl = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["--silent", "--http2-prior-knowledge", "--max-time", "20"])
            .args(arguments)
            .output()
            .expect("curl is there");
        String::from_utf8(output.stdout).unwrap()
    };
    let url = server.url("/events/a");
    assert_eq!(curl(&["--data", "one", &url]), format!("{{\"id\":\"{}\"}}\n", id(1)));
    // The hub ends the stream, so that curl ends.
    curl(&["--request", "DELETE", &url]);
    let answer = curl(&["--include", &format!("{url}?last=2")]);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/2 200"), "{head}");
    for forbidden in ["connection:", "transfer-encoding:", "keep-alive:"] {
        assert!(!head.lines().any(|line| line.starts_with(forbidden)), "{head}");
    }
    assert!(head.contains("content-type: text/event-stream"));
    assert!(head.contains("cache-control: no-cache"));
    assert!(body.contains(&format!("id: {}\ndata: one\n\n", id(1))));
    assert!(body.contains("event: end\n"));
    let status = curl(&["--include", &url]);
    assert!(status.starts_with("HTTP/2 204"), "{status}");
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let server = TestServer::builder()
        .config(|config| {
            config.http.idle_max = Duration::from_millis(50);
            config.http.head_time_max = Duration::from_millis(50);
        })
        .start();
    let mut idle = server.connect();
    idle.send(request("GET", "/healthz", &[], b""));
    assert_eq!(idle.response().status(), 200);
    assert!(idle.is_closed());
    let mut busy = server.connect();
    let accept = [("accept", "application/json")];
    busy.send(request("GET", "/events/a?wait=300ms", &accept, b""));
    assert_eq!(busy.response().status(), 200);
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}
