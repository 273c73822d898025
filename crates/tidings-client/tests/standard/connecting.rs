//! Lines 22 to 29: the request, and what the answer to it means.

use std::time::Duration;

use http::Method;
use tidings_client::{ReadError, ReadyState, RedirectProblem, Resume};

use crate::world::{Answer, Server, all, next, run};

#[test]
fn line_22_the_first_request_accepts_event_streams_past_all_caches() {
    run(async {
        let server = Server::new([]);
        all(&mut server.source().open().unwrap()).await;
        let request = &server.seen()[0];
        assert_eq!(request.method, Method::GET);
        assert_eq!(request.header("accept"), Some(&b"text/event-stream"[..]));
        assert_eq!(request.header("cache-control"), Some(&b"no-cache"[..]));
        assert_eq!(request.header("pragma"), Some(&b"no-cache"[..]));
        assert_eq!(request.header("last-event-id"), None);
        // Nothing here reads compressed bodies.
        assert_eq!(request.header("accept-encoding"), Some(&b"identity"[..]));
        assert_eq!(request.headers.len(), 4);
    });
}

#[test]
fn line_22_the_caller_may_ask_otherwise() {
    run(async {
        let server = Server::new([Answer::stream("data: 1\n\n")]);
        let mut source = server
            .source()
            .method(Method::POST)
            .body("question")
            .header("accept", "text/event-stream, application/json")
            .header("x-one", "1")
            .open()
            .unwrap();
        all(&mut source).await;
        for request in server.seen() {
            assert_eq!(request.method, Method::POST);
            assert_eq!(request.body, "question");
            assert_eq!(request.header("x-one"), Some(&b"1"[..]));
            assert_eq!(request.header("accept"), Some(&b"text/event-stream, application/json"[..]));
        }
        assert_eq!(server.seen().len(), 2);
    });
}

#[test]
fn line_23_credentials_go_to_their_origin_and_no_further() {
    run(async {
        let server = Server::new([
            Answer::redirect(307, "/b"),
            Answer::redirect(307, "http://other/c"),
            Answer::redirect(307, "http://server/d"),
            Answer::stream("data: 1\n\n"),
        ]);
        let mut source = server
            .source()
            .bearer_token("secret")
            .header("cookie", "a=b")
            .header("x-public", "1")
            .open()
            .unwrap();
        all(&mut source).await;
        let seen = server.seen();
        let had = |at: usize| {
            let has = |name| seen[at].header(name).is_some();
            (has("authorization"), has("cookie"), has("x-public"))
        };
        assert_eq!(had(0), (true, true, true));
        assert_eq!(had(1), (true, true, true));
        assert_eq!(had(2), (false, false, true));
        assert_eq!(had(3), (false, false, true));
        // The next attempt begins at the start again.
        assert_eq!(seen[4].url, "http://server/events");
        assert_eq!(had(4), (true, true, true));
    });
}

#[test]
fn line_23_credentials_in_the_url_become_a_header() {
    run(async {
        let server = Server::new([]);
        let source = server.source_at("http://user:pass@server/events");
        all(&mut source.open().unwrap()).await;
        let request = &server.seen()[0];
        assert_eq!(request.url, "http://server/events");
        assert_eq!(request.header("authorization"), Some(&b"Basic dXNlcjpwYXNz"[..]));
    });
}

#[test]
fn line_24_a_network_error_while_connecting_is_tried_again() {
    run(async {
        let server = Server::new([Answer::no_connection(), Answer::stream("data: 1\n\n")]);
        let transcript = all(&mut server.source().open().unwrap()).await;
        assert_eq!(transcript[..3], ["again in 3000 ms: network error", "open", "message: 1"]);
    });
}

#[test]
fn line_25_a_status_other_than_200_fails_for_ever() {
    for status in [201, 202, 204, 205, 206, 210, 299, 304, 400, 404, 410, 500, 503] {
        run(async {
            let answer = Answer::status(status)
                .header("content-type", "text/event-stream")
                .header("x-why", "because")
                .send("data: no\n\n");
            let server = Server::new([answer]);
            let mut source = server.source().open().unwrap();
            let error = source.next().await.unwrap().unwrap_err();
            assert!(matches!(error, ReadError::Status(_)));
            assert_eq!(error.is_no_content(), status == 204);
            let refusal = error.refusal().unwrap();
            assert_eq!(refusal.status, status);
            assert_eq!(refusal.headers["x-why"], "because");
            assert_eq!(refusal.body, b"data: no\n\n");
            assert!(!refusal.body_is_cut);
            assert_eq!(source.ready_state(), ReadyState::Closed);
            assert!(source.next().await.is_none());
            assert_eq!(server.seen().len(), 1);
        });
    }
}

#[test]
fn line_25_the_body_of_a_refusal_is_bounded_in_size_and_time() {
    run(async {
        let endless = (0..5).fold(Answer::status(500), |answer, _| answer.send(vec![b'x'; 30_000]));
        let slow = Answer::status(500).send("so").hangs();
        let broken = Answer::status(500).send("so").breaks();
        for (answer, length) in [(endless.hangs(), 65_536), (slow, 2), (broken, 2)] {
            let server = Server::new([answer]);
            let mut source = server.source().open().unwrap();
            let error = source.next().await.unwrap().unwrap_err();
            let refusal = error.refusal().unwrap();
            assert_eq!(refusal.body.len(), length);
            assert!(refusal.body_is_cut);
            assert_eq!(server.open(), 0);
        }
    });
}

#[test]
fn line_26_an_answer_of_another_content_type_fails_for_ever() {
    for content_type in ["text/html", "text/event-stream2", "x;text/event-stream", ""] {
        run(async {
            let answer =
                Answer::status(200).header("content-type", content_type).send("data: no\n\n");
            let server = Server::new([answer]);
            let mut source = server.source().open().unwrap();
            let error = source.next().await.unwrap().unwrap_err();
            assert!(matches!(error, ReadError::NotAnEventStream(_)));
            assert!(source.next().await.is_none());
        });
    }
    run(async {
        let server = Server::new([Answer::status(200).send("data: no\n\n")]);
        let transcript = all(&mut server.source().open().unwrap()).await;
        let expected = "over: the answer is not an event stream: it has no content type";
        assert_eq!(transcript, [expected]);
    });
}

#[test]
fn line_26_case_and_parameters_of_the_content_type_do_not_matter() {
    for content_type in ["text/event-stream;", "TEXT/EVENT-STREAM ; charset=x"] {
        run(async {
            let answer =
                Answer::status(200).header("content-type", content_type).send("data: yes\n\n");
            let server = Server::new([answer]);
            let mut source = server.source().one_shot().open().unwrap();
            assert_eq!(all(&mut source).await, ["open", "message: yes"]);
        });
    }
}

#[test]
fn line_27_the_connection_is_announced_with_all_that_is_known_of_it() {
    run(async {
        let answer = Answer::stream("").header("tidings-resume", "live").hangs();
        let server = Server::new([Answer::redirect(302, "/b?c"), answer]);
        let mut source = server.source().open().unwrap();
        assert_eq!(source.ready_state(), ReadyState::Connecting);
        let item = source.next().await.unwrap().unwrap();
        let tidings_client::Item::Open(open) = item else {
            panic!("{item:?}");
        };
        assert_eq!(open.url, "http://server/b?c");
        assert_eq!(open.headers["tidings-resume"], "live");
        assert_eq!(open.resume, Resume::None);
        assert_eq!(source.ready_state(), ReadyState::Open);
    });
}

#[test]
fn line_27_a_source_closed_meanwhile_announces_nothing() {
    run(async {
        let server = Server::new([Answer::stream("").delayed(Duration::from_secs(1)).hangs()]);
        let mut source = server.source().open().unwrap();
        let handle = source.handle();
        tokio::spawn(async move { handle.close() });
        assert_eq!(next(&mut source).await, "end");
        assert_eq!(source.ready_state(), ReadyState::Closed);
    });
}

#[test]
fn line_28_five_redirects_are_followed_also_to_relative_locations() {
    for status in [301, 302, 303, 307, 308] {
        run(async {
            let server = Server::new([
                Answer::redirect(status, "more/x?y"),
                Answer::redirect(status, "../z"),
                Answer::stream("data: 1\n\n"),
            ]);
            let mut source = server.source_at("http://server/a/b").open().unwrap();
            assert_eq!(next(&mut source).await, "open");
            let urls: Vec<_> = server.seen().into_iter().map(|seen| seen.url).collect();
            assert_eq!(
                urls,
                ["http://server/a/b", "http://server/a/more/x?y", "http://server/a/z"]
            );
        });
    }
}

#[test]
fn line_28_a_redirect_to_nowhere_is_an_error_and_not_a_loop() {
    run(async {
        for (answer, expected) in [
            (Answer::status(301), "NoLocation"),
            (Answer::redirect(302, ""), "NoLocation"),
            (Answer::redirect(302, "http://"), "Location"),
            (Answer::redirect(302, "gopher://server/"), "Location"),
        ] {
            let server = Server::new([answer]);
            let mut source = server.source().open().unwrap();
            let error = source.next().await.unwrap().unwrap_err();
            let ReadError::Redirect { problem, .. } = error else {
                panic!("{error:?}");
            };
            assert!(format!("{problem:?}").starts_with(expected), "{problem:?}");
            assert_eq!(server.seen().len(), 1);
        }
    });
}

#[test]
fn line_28_redirects_end_after_twenty() {
    run(async {
        let server = Server::new((0..100).map(|_| Answer::redirect(302, "/")));
        let mut source = server.source().open().unwrap();
        let error = source.next().await.unwrap().unwrap_err();
        let problem = match error {
            ReadError::Redirect { problem, .. } => problem,
            other => panic!("{other:?}"),
        };
        assert!(matches!(problem, RedirectProblem::TooMany));
        assert_eq!(server.seen().len(), 21);
    });
}

#[test]
fn line_29_the_end_of_the_body_and_a_broken_body_both_lead_to_a_new_connection() {
    run(async {
        let server = Server::new([
            Answer::stream("data: 1\n\n"),
            Answer::stream("data: 2\n\ndata: half").breaks(),
            Answer::stream("data: 3\n\n"),
        ]);
        let transcript = all(&mut server.source().open().unwrap()).await;
        assert_eq!(
            transcript,
            [
                "open",
                "message: 1",
                "again in 3000 ms: the server ended the response",
                "open",
                "message: 2",
                "again in 3000 ms: network error",
                "open",
                "message: 3",
                "again in 3000 ms: the server ended the response",
                "over: the server ended the stream (204)",
            ]
        );
    });
}
