//! Topics that are runs, as their publishers see them: what begins one, what ends one, and how a
//! publisher is stopped. Each row over both protocols and both engines.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::run_world::{EVENT_STREAM, FIRST, NDJSON, event, eventually, hubs, id, read_to_end};
use serde_json::{Value, json};
use tidings_testkit::http::request;
use tidings_testkit::http2::{self, END_STREAM, Peer, kind};
use tidings_testkit::server::TestServer;

#[test]
fn a_single_event_published_with_end_is_the_last_of_its_topic() {
    for hub in hubs() {
        let stream = hub.server.subscribe("/events/run", &[]);
        hub.post("/events/run", &[], "one");
        let last = hub.post("/events/run?end&event=done", &[], "two");
        assert_eq!(last, (200, json!({ "id": id(2) })));
        assert_eq!(read_to_end(stream), (vec!["one".into(), "two".into()], false));
        assert_eq!(hub.is_ended("run"), Some(true));
        assert_eq!(hub.server.request("GET", "/events/run", &[], "").status(), 204);
        // Repeated with its id, it is the same event; without `?end` it would be another.
        for expected in [json!({ "id": "x" }), json!({ "id": "x", "duplicate": true })] {
            assert_eq!(hub.post("/events/other?end&id=x", &[], "one"), (200, expected));
        }
        let (status, problem) = hub.post("/events/other?id=x", &[], "one");
        assert_eq!((status, &problem["code"]), (409, &json!("id_reused")));
    }
}

#[test]
fn the_end_of_a_body_ends_the_topic_without_an_event_of_the_hub() {
    for hub in hubs() {
        for format in [NDJSON, EVENT_STREAM] {
            for (sized, count) in [(true, 2), (false, 2), (true, 0), (false, 0)] {
                let topic = format!("run/{}/{sized}/{count}", format.len());
                let target = format!("/events/{topic}?end");
                let all: Vec<_> = (0..count).map(|n| n.to_string()).collect();
                let body: String = all.iter().map(|data| event(format, data)).collect();
                let stream = hub.server.subscribe(&format!("/events/{topic}"), &[]);
                let (status, summary) = if sized {
                    hub.post(&target, &[format], &body)
                } else {
                    let mut producer = hub.produce(&target, &[format]);
                    producer.send(&body);
                    producer.finish()
                };
                assert_eq!(status, 200, "{summary}");
                assert_eq!(summary["published"], count);
                assert_eq!(read_to_end(stream), (all.clone(), false));
                assert_eq!(hub.data(&topic), all);
                assert_eq!(hub.is_ended(&topic), Some(true));
                let head = hub.server.engine().head().get();
                let last = (count > 0).then(|| id(head - 1));
                assert_eq!(summary["last_id"], json!(last), "the last event, not the end");
            }
        }
    }
}

#[test]
fn a_repeated_body_with_end_is_the_same_events() {
    for hub in hubs() {
        let body = "{\"id\":\"a\",\"data\":\"1\"}\n{\"id\":\"b\",\"data\":\"2\"}\n";
        for (published, duplicates) in [(2, 0), (0, 2)] {
            let (status, summary) = hub.post("/events/run?end", &[NDJSON], body);
            let expected = json!({ "published": published, "duplicates": duplicates,
                "first_id": "a", "last_id": "b" });
            assert_eq!((status, summary), (200, expected));
        }
        assert_eq!((hub.data("run").len(), hub.is_ended("run")), (2, Some(true)));
    }
}

#[test]
fn a_body_that_breaks_off_does_not_end_its_topic() {
    for hub in hubs() {
        for format in [NDJSON, EVENT_STREAM] {
            let topic = format!("run/{}", format.len());
            let mut producer = hub.produce(&format!("/events/{topic}?end"), &[format]);
            producer.send(&event(format, "one"));
            eventually("the event is there", || hub.is_ended(&topic).is_some());
            producer.kill();
            eventually("the producer is gone", || !hub.has_publisher(&topic));
            assert_eq!(hub.is_ended(&topic), Some(false));
            assert_eq!(hub.data(&topic), ["one"]);
        }
    }
}

#[test]
fn a_body_that_is_refused_does_not_end_its_topic() {
    for hub in hubs() {
        let (status, _) = hub.post("/events/run?end", &[NDJSON], "{\"data\":\"one\"}\nnonsense\n");
        assert_eq!((status, hub.is_ended("run")), (400, None));
        let mut producer = hub.produce("/events/run?end", &[NDJSON]);
        producer.send("{\"data\":\"one\"}\nnonsense\n");
        let (status, problem) = producer.finish();
        assert_eq!((status, &problem["published"]), (400, &json!(1)));
        assert_eq!((hub.is_ended("run"), hub.data("run")), (Some(false), vec!["one".into()]));
    }
}

/// Authority and media type of a request over HTTP/2.
fn fields(media_type: &str) -> [(&str, &str); 2] {
    [http2::LOCALHOST, ("\x0f\x10", media_type)]
}

/// The HTTP library shows both as the same: the end of the body.
#[test]
fn a_cancelled_request_is_not_one_that_ended_well() {
    for hub in hubs().into_iter().filter(|hub| hub.protocol != "--http1.1") {
        for (code, reason) in [(0_u32, "NO_ERROR"), (8, "CANCEL"), (2, "INTERNAL_ERROR")] {
            for (media_type, body) in [
                ("application/x-ndjson", "{\"data\":\"one\"}\n{\"data\":\"t"),
                ("text/event-stream", "data: one\n\ndata: t"),
                ("text/plain", "half a wo"),
            ] {
                let topic = format!("{reason}/{media_type}");
                let mut peer = Peer::connect(hub.server.address(), &[]);
                peer.begin_post(1, &format!("/events/{topic}?end"), &fields(media_type));
                peer.send(&http2::frame(kind::DATA, 0, 1, body.as_bytes()));
                if media_type != "text/plain" {
                    eventually("one is there", || hub.is_ended(&topic).is_some());
                }
                let mut reset = http2::frame(kind::RST_STREAM, 0, 1, &code.to_be_bytes());
                reset.extend(http2::frame(kind::PING, 0, 0, &[0; 8]));
                peer.send(&reset);
                peer.until(|frame| frame.kind == kind::PING);
                eventually("the producer is gone", || !hub.has_publisher(&topic));
                let expected = (media_type != "text/plain").then_some(false);
                // What a request that is gone has left would be there before this.
                hub.post("/events/after", &[], "x");
                assert_eq!(hub.is_ended(&topic), expected, "{topic}");
            }
        }
    }
}

#[test]
fn if_none_match_publishes_only_to_a_topic_that_does_not_exist() {
    for hub in hubs() {
        for (format, body) in [("content-type: text/plain", "x".to_owned())]
            .into_iter()
            .chain([NDJSON, EVENT_STREAM].map(|format| (format, event(format, "x"))))
        {
            let topic = format!("run/{}", format.len());
            let target = format!("/events/{topic}");
            assert_eq!(hub.post(&target, &[format, FIRST], &body).0, 200);
            for again in ["", "?end", "?end&id=same"] {
                if again.contains("id") && format != "content-type: text/plain" {
                    continue;
                }
                let target = format!("{target}{again}");
                let (status, problem) = hub.post(&target, &[format, FIRST], &body);
                assert_eq!((status, &problem["code"]), (412, &json!("topic_exists")));
            }
            // A topic that has ended without an event was begun, too.
            let empty = format!("/events/empty/{topic}");
            hub.post(&format!("{empty}?end"), &[NDJSON], "");
            assert_eq!(hub.post(&empty, &[format, FIRST], &body).0, 412);
            assert_eq!((hub.data(&topic).len(), hub.is_ended(&topic)), (1, Some(false)));
        }
        // The precondition wins over the id that would make it a repetition.
        assert_eq!(hub.post("/events/once?id=x", &[FIRST], "x").0, 200);
        assert_eq!(hub.post("/events/once?id=x", &[FIRST], "x").0, 412);
        let mut producer = hub.produce("/events/stream?end", &[NDJSON, FIRST]);
        producer.send("{\"data\":\"one\"}\n");
        eventually("one is there", || hub.is_ended("stream").is_some());
        producer.send("{\"data\":\"two\"}\n");
        assert_eq!(producer.finish().0, 200);
        assert_eq!(hub.data("stream"), ["one", "two"]);
    }
}

#[test]
fn a_topic_that_exists_is_said_before_the_body_is_read() {
    for portable in [false, true] {
        let server = TestServer::builder().engine(|c| c.portable = portable).start();
        server.post("/events/run", "one");
        for media_type in ["text/plain", "application/x-ndjson", "text/event-stream"] {
            let headers = [
                ("content-type", media_type),
                ("content-length", "10"),
                ("if-none-match", "*"),
                ("expect", "100-continue"),
            ];
            let mut connection = server.connect();
            connection.send(request("POST", "/events/run", &headers, b""));
            let answer = connection.response();
            assert_eq!((answer.status(), answer.code()), (412, "topic_exists".into()));
        }
        assert_eq!(server.engine().head().get(), 1);
    }
}

#[test]
fn one_of_many_publishers_begins_a_topic() {
    for hub in hubs() {
        let hub = &hub;
        let begun = std::thread::scope(|scope| {
            let attempts = (0..12).map(|n| {
                scope.spawn(move || match n % 3 {
                    0 => hub.post("/events/run", &[FIRST], "x").0,
                    1 => hub.post("/events/run", &[FIRST, NDJSON], "{\"data\":\"x\"}\n").0,
                    _ => {
                        let mut producer = hub.produce("/events/run", &[FIRST, EVENT_STREAM]);
                        producer.send("data: x\n\n");
                        producer.finish().0
                    }
                })
            });
            let attempts: Vec<_> = attempts.collect();
            let statuses: Vec<_> = attempts.into_iter().map(|a| a.join().unwrap()).collect();
            assert!(statuses.iter().all(|status| [200, 412].contains(status)), "{statuses:?}");
            statuses.into_iter().filter(|status| *status == 200).count()
        });
        assert_eq!((begun, hub.data("run").len()), (1, 1));
    }
}

/// Method, target, headers and body of a request; the status of its answer, and a word of it.
type Refusal<'a> = (&'a str, &'a str, &'a [&'a str], &'a str, u16, &'a str);

#[test]
fn what_cannot_be_meant_is_refused_and_says_what_to_do() {
    for hub in hubs() {
        let line = "{\"topic\":\"run\"}\n";
        let other = "{\"data\":\"x\"}\n{\"topic\":\"other\"}\n";
        let rows: &[Refusal<'_>] = &[
            ("POST", "/events?end", &[NDJSON], line, 400, "/events/{topic}"),
            ("POST", "/events", &[NDJSON, FIRST], line, 400, "/events/{topic}"),
            ("POST", "/events/run?end=1", &[], "x", 400, "without a value"),
            ("POST", "/events/run?end=false", &[NDJSON], line, 400, "without a value"),
            ("POST", "/events/run?end&end", &[], "x", 400, "only once"),
            ("POST", "/events/run?ends", &[], "x", 400, "end"),
            ("POST", "/events/run", &["if-none-match: \"a\""], "x", 400, "If-None-Match: *"),
            ("POST", "/events/run", &["if-none-match: *, *"], "x", 400, "If-None-Match: *"),
            ("POST", "/events/run", &[FIRST, FIRST], "x", 400, "If-None-Match: *"),
            ("POST", "/events/run", &["if-none-match;", NDJSON], line, 400, "If-None-Match: *"),
            ("POST", "/events/run", &[FIRST, NDJSON], other, 400, "topic in the path"),
            ("DELETE", "/events/run?event=x", &[], "", 400, "body"),
            ("DELETE", "/events/run?end", &[], "x", 400, "parameter"),
            ("DELETE", "/events/run?event=tidings.x", &[], "x", 400, "tidings."),
            ("DELETE", "/events/run", &[NDJSON], line, 415, "one event"),
        ];
        for (method, target, headers, body, status, says) in rows {
            let (answered, problem) = hub.ask(method, target, headers, body);
            assert_eq!(answered, *status, "{method} {target} {problem}");
            assert!(problem["detail"].as_str().unwrap().contains(says), "{target} {problem}");
        }
        assert_eq!(hub.server.engine().head().get(), 0, "nothing is stored");
    }
}

#[test]
fn the_body_of_a_delete_is_the_last_event_of_its_topic() {
    for hub in hubs() {
        assert_eq!(hub.ask("DELETE", "/events/run", &[], "bye").0, 404);
        hub.post("/events/run", &[], "one");
        let stream = hub.server.subscribe("/events/run?last=5", &[]);
        let last = hub.ask("DELETE", "/events/run?event=end&id=stop", &[], "[DONE]");
        assert_eq!(last, (200, json!({ "id": "stop" })));
        assert_eq!(read_to_end(stream), (vec!["one".into(), "[DONE]".into()], false));
        for (target, body) in [("/events/run", ""), ("/events/run?event=end", "other")] {
            let again = hub.ask("DELETE", target, &[], body);
            assert_eq!(again, (200, json!({ "id": id(2), "duplicate": true })));
        }
        let expected = [("message".into(), "one".into()), ("end".into(), "[DONE]".into())];
        assert_eq!(hub.events("run"), expected);
    }
}

#[test]
fn of_many_that_end_a_topic_at_once_one_has_the_last_word() {
    for hub in hubs() {
        hub.post("/events/run", &[], "one");
        let hub = &hub;
        let ends = std::thread::scope(|scope| {
            let ends = (0..8).map(|n| {
                scope.spawn(move || hub.ask("DELETE", "/events/run", &[], &format!("end {n}")))
            });
            let ends: Vec<_> = ends.collect();
            ends.into_iter().map(|end| end.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(ends.iter().all(|(status, _)| *status == 200), "{ends:?}");
        let firsts = ends.iter().filter(|(_, json)| json["duplicate"].is_null()).count();
        assert_eq!((firsts, hub.data("run").len()), (1, 2));
    }
}

#[test]
fn a_topic_that_only_has_a_publisher_can_be_ended() {
    for hub in hubs() {
        let producer = hub.produce("/events/run?end", &[NDJSON]);
        eventually("the producer is there", || hub.has_publisher("run"));
        assert_eq!(hub.ask("DELETE", "/events/run", &[], "no").0, 200);
        let (status, problem) = producer.answer();
        assert_eq!((status, &problem["code"]), (409, &json!("topic_ended")));
        assert_eq!((&problem["published"], &problem["last_id"]), (&json!(0), &Value::Null));
        assert_eq!(hub.data("run"), ["no"]);
    }
}

#[test]
fn a_publisher_of_a_topic_that_somebody_else_ends_is_answered_at_once() {
    for hub in hubs() {
        for format in [NDJSON, EVENT_STREAM] {
            let topic = format!("run/{}", format.len());
            let target = format!("/events/{topic}");
            let mut producer = hub.produce(&format!("{target}?end"), &[format]);
            producer.send(&event(format, "one"));
            eventually("one is there", || hub.is_ended(&topic).is_some());
            let first = hub.server.engine().head().get();
            assert_eq!(hub.ask("DELETE", &target, &[], "stop").0, 200);
            let (status, problem) = producer.answer();
            assert_eq!((status, &problem["code"]), (409, &json!("topic_ended")));
            assert_eq!(problem["published"], 1);
            assert_eq!(problem["last_id"], json!(id(first)));
            assert_eq!(hub.data(&topic), ["one", "stop"]);
            assert_eq!(hub.is_ended(&topic), Some(true));
        }
    }
}

#[test]
fn a_stopped_publisher_that_goes_on_sending_gets_the_answer_and_then_a_reset() {
    for portable in [false, true] {
        let server = TestServer::builder().engine(|c| c.portable = portable).start();
        let mut producer = std::net::TcpStream::connect(server.address()).unwrap();
        let headers = [("content-type", "application/x-ndjson"), ("transfer-encoding", "chunked")];
        producer.write_all(&request("POST", "/events/run", &headers, b"")).unwrap();
        let chunk = |data: &str| format!("{:x}\r\n{data}\r\n", data.len());
        producer.write_all(chunk("{\"data\":\"one\"}\n").as_bytes()).unwrap();
        while server.engine().head().get() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        server.request("DELETE", "/events/run", &[], "stop");
        // It reads what comes, and writes until it cannot.
        let mut reader = producer.try_clone().unwrap();
        let answer = std::thread::spawn(move || {
            let mut answer = Vec::new();
            // A reset may follow what has been read.
            let _ = reader.read_to_end(&mut answer);
            String::from_utf8(answer).unwrap()
        });
        let begun = Instant::now();
        let more = chunk("{\"data\":\"more\"}\n");
        let error = loop {
            if let Err(error) = producer.write_all(more.as_bytes()) {
                break error.kind();
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "the producer is never cut");
            std::thread::sleep(Duration::from_millis(2));
        };
        let is_reset = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe];
        assert!(is_reset.contains(&error), "{error:?}");
        let answer = answer.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 409 Conflict\r\n"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(answer.contains("\"code\":\"topic_ended\""), "{answer}");
        assert!(answer.contains("\"published\":1"), "{answer}");
        assert_eq!(server.engine().head().get(), 2, "nothing is stored behind the end");
    }
}

#[test]
fn a_stopped_publisher_over_http_2_is_answered_and_its_connection_goes_on() {
    for portable in [false, true] {
        let server = TestServer::builder().engine(|c| c.portable = portable).start();
        let mut peer = Peer::connect(server.address(), &[]);
        peer.begin_post(1, "/events/run?end", &fields("application/x-ndjson"));
        peer.send(&http2::frame(kind::DATA, 0, 1, b"{\"data\":\"one\"}\n"));
        while server.engine().head().get() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        server.request("DELETE", "/events/run", &[], "stop");
        let mut ended = false;
        loop {
            let frame = peer.next_frame().expect("the connection stays");
            assert_ne!(frame.kind, kind::GOAWAY, "{frame:?}");
            if frame.stream != 1 {
                continue;
            }
            if frame.kind == kind::RST_STREAM {
                assert!(ended, "the answer comes before the reset");
                assert_eq!(frame.error(), Some(0));
                break;
            }
            ended |= frame.ends_stream();
        }
        peer.send(&http2::frame(kind::DATA, END_STREAM, 1, b"{\"data\":\"more\"}\n"));
        peer.ask(3, "/livez");
        let next = peer.until(|frame| frame.stream == 3 || frame.kind == kind::GOAWAY);
        assert_eq!(next.kind, kind::HEADERS);
        assert_eq!(server.engine().head().get(), 2);
    }
}
