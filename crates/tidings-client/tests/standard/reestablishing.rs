//! Lines 30 to 38: losing a connection, waiting, and resuming; and the ends that are for good.

use std::time::Duration;

use tidings_client::{
    Backoff, Cause, EventId, Item, ReadError, ReadyState, RememberRedirects, Resume,
};

use crate::world::{Answer, Server, all, next, run, transcript};

#[test]
fn line_30_losing_a_connection_is_told_and_the_source_is_connecting() {
    run(async {
        let server = Server::new([Answer::stream("data: 1\n\n")]);
        let mut source = server.source().open().unwrap();
        for expected in ["open", "message: 1"] {
            assert_eq!(next(&mut source).await, expected);
            assert_eq!(source.ready_state(), ReadyState::Open);
        }
        assert!(next(&mut source).await.starts_with("again"));
        assert_eq!(source.ready_state(), ReadyState::Connecting);
        assert_eq!(source.handle().ready_state(), ReadyState::Connecting);
        assert!(next(&mut source).await.starts_with("over"));
        assert_eq!(source.ready_state(), ReadyState::Closed);
    });
}

#[test]
fn line_31_the_reconnection_time_is_waited() {
    run(async {
        let server = Server::new([Answer::stream("retry: 1234\ndata: 1\n\n")]);
        all(&mut server.source().open().unwrap()).await;
        assert_eq!(server.seen()[1].at.as_millis(), 1234);
    });
}

#[test]
fn line_31_waits_grow_while_attempts_are_in_vain_and_an_event_resets_them() {
    let transcript = transcript(&["", "", "", "data: 1\n\n", ""]);
    let waits: Vec<_> = transcript.iter().filter(|line| line.starts_with("again")).collect();
    let waits: Vec<_> = waits.iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
    assert_eq!(waits, ["3000", "6000", "12000", "3000", "6000"]);
}

#[test]
fn line_31_a_connection_that_stays_open_long_enough_resets_the_waits() {
    run(async {
        let server = Server::new([
            Answer::stream(""),
            Answer::stream("").wait(Duration::from_secs(9)),
            Answer::stream("").wait(Duration::from_secs(10)),
        ]);
        let transcript = all(&mut server.source().open().unwrap()).await;
        let waits: Vec<_> = transcript
            .iter()
            .filter(|line| line.starts_with("again"))
            .map(|line| line.split(' ').nth(2).unwrap())
            .collect();
        assert_eq!(waits, ["3000", "6000", "3000"]);
    });
}

#[test]
fn line_32_a_source_closed_during_the_wait_does_not_connect() {
    run(async {
        let server = Server::new([Answer::stream("data: 1\n\n")]);
        let mut source = server.source().open().unwrap();
        let handle = source.handle();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            handle.close();
            assert_eq!(handle.ready_state(), ReadyState::Closed);
        });
        let transcript = all(&mut source).await;
        assert_eq!(transcript.len(), 3);
        assert_eq!(server.seen().len(), 1);
    });
}

#[test]
fn line_33_the_last_event_id_is_sent_as_its_utf8_bytes() {
    for id in ["1", "…", "é\u{a0}x", "a b", "\u{1f600}"] {
        run(async {
            let server = Server::new([Answer::stream(format!("id: {id}\ndata: 1\n\n"))]);
            all(&mut server.source().open().unwrap()).await;
            assert_eq!(server.seen()[0].header("last-event-id"), None);
            assert_eq!(server.seen()[1].header("last-event-id"), Some(id.as_bytes()));
        });
    }
}

#[test]
fn line_33_without_an_id_or_after_it_was_taken_back_there_is_no_header() {
    for stream in ["data: 1\n\n", "id: 1\ndata: 1\n\nid\ndata: 2\n\n", "id: 1\n\nid:\n\n"] {
        run(async {
            let server = Server::new([Answer::stream(stream)]);
            all(&mut server.source().open().unwrap()).await;
            assert_eq!(server.seen()[1].header("last-event-id"), None, "{stream:?}");
        });
    }
}

#[test]
fn line_33_an_id_that_no_header_can_carry_is_left_out_and_said_so() {
    run(async {
        let server = Server::new([
            Answer::stream("id: a\u{1}b\ndata: 1\n\n"),
            Answer::stream("data: 2\n\n"),
        ]);
        let mut source = server.source().open().unwrap();
        let mut resumes = Vec::new();
        while let Some(Ok(item)) = source.next().await {
            if let Item::Open(open) = item {
                resumes.push(open.resume);
            }
        }
        let id = EventId::new("a\u{1}b").unwrap();
        assert_eq!(resumes, [Resume::None, Resume::Impossible(id)]);
        assert_eq!(server.seen()[1].header("last-event-id"), None);
    });
}

#[test]
fn line_33_a_source_may_begin_with_an_id() {
    run(async {
        let server = Server::new([Answer::stream("data: 1\n\n")]);
        let mut source = server.source().last_event_id(EventId::new("41").unwrap()).open().unwrap();
        assert_eq!(source.last_event_id().unwrap().as_str(), "41");
        let transcript = all(&mut source).await;
        assert_eq!(transcript[1], "message #41: 1");
        for request in server.seen() {
            assert_eq!(request.header("last-event-id"), Some(&b"41"[..]));
        }
    });
}

#[test]
fn line_34_the_id_outlives_connections_that_give_none() {
    run(async {
        let server = Server::new([
            Answer::stream("id: 1\ndata: 1\n\n"),
            Answer::stream("data: 2\n\n"),
            Answer::stream("data: 3\n\n"),
        ]);
        let transcript = all(&mut server.source().open().unwrap()).await;
        assert_eq!(transcript[4], "message #1: 2");
        assert_eq!(transcript[7], "message #1: 3");
        for request in &server.seen()[1..] {
            assert_eq!(request.header("last-event-id"), Some(&b"1"[..]));
        }
    });
}

#[test]
fn line_35_permanent_redirects_are_remembered_and_temporary_ones_are_not() {
    let second_url = |status, remember| {
        run(async {
            let server = Server::new([
                Answer::redirect(status, "/moved"),
                Answer::stream("data: 1\n\n"),
                Answer::stream("data: 2\n\n"),
            ]);
            let source = server.source().remember_redirects(remember);
            let mut source = source.open().unwrap();
            all(&mut source).await;
            let seen = server.seen();
            (seen[2].url.clone(), seen[3].url.clone())
        })
    };
    let both = |url: &str| (url.to_owned(), url.to_owned());
    let (given, moved) = ("http://server/events", "http://server/moved");
    for status in [301, 308] {
        assert_eq!(second_url(status, RememberRedirects::Permanent), both(moved));
    }
    for status in [302, 303, 307] {
        assert_eq!(second_url(status, RememberRedirects::Permanent), both(given));
        assert_eq!(second_url(status, RememberRedirects::Always), both(moved));
    }
    assert_eq!(second_url(301, RememberRedirects::Never), both(given));
}

#[test]
fn line_35_a_remembered_url_that_no_longer_answers_is_forgotten() {
    run(async {
        let server = Server::new([
            Answer::redirect(301, "http://other/moved"),
            Answer::stream("data: 1\n\n"),
            Answer::no_connection(),
            Answer::stream("data: 2\n\n"),
        ]);
        let mut source = server.source().bearer_token("secret").open().unwrap();
        all(&mut source).await;
        let seen = server.seen();
        assert_eq!(seen[2].url, "http://other/moved");
        assert_eq!(seen[2].header("authorization"), None);
        assert_eq!(seen[3].url, "http://server/events");
        assert!(seen[3].header("authorization").is_some());
    });
}

#[test]
fn line_36_the_reconnection_time_lasts_for_the_life_of_the_source() {
    let transcript = transcript(&["retry: 700\ndata: 1\n\n", "data: 2\n\n", "data: 3\n\n"]);
    let waits: Vec<_> = transcript.iter().filter(|line| line.starts_with("again")).collect();
    assert_eq!(waits.len(), 3);
    assert!(waits.iter().all(|line| line.starts_with("again in 700 ms")));
}

#[test]
fn line_37_close_aborts_the_request_and_nothing_more_is_said() {
    run(async {
        let server = Server::new([Answer::stream("data: 1\n\n").hangs()]);
        let mut source = server.source().open().unwrap();
        let handle = source.handle();
        assert_eq!(next(&mut source).await, "open");
        assert_eq!(next(&mut source).await, "message: 1");
        assert_eq!(server.open(), 1);
        tokio::spawn(async move { handle.close() });
        assert_eq!(next(&mut source).await, "end");
        assert_eq!(next(&mut source).await, "end");
        assert_eq!(server.open(), 0);
        source.handle().restart();
        assert_eq!(next(&mut source).await, "end");
        assert_eq!(server.seen().len(), 1);
    });
}

#[test]
fn line_37_dropping_a_source_aborts_the_request_too() {
    run(async {
        let server = Server::new([Answer::stream("").hangs()]);
        let mut source = server.source().open().unwrap();
        assert_eq!(next(&mut source).await, "open");
        let handle = source.handle();
        drop(source);
        assert_eq!(server.open(), 0);
        assert_eq!(handle.ready_state(), ReadyState::Closed);
    });
}

#[test]
fn line_38_two_connections_and_a_204_are_open_again_open_again_over() {
    let transcript = transcript(&["data: opened\n\n", "data: reconnected\n\n"]);
    let kinds: Vec<_> = transcript.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["open", "message:", "again", "open", "message:", "again", "over:"]);
}

#[test]
fn line_45_a_priming_event_and_a_short_retry_make_a_poll() {
    run(async {
        let server = Server::new([
            Answer::stream("id: p1\nretry: 150\ndata:\n\n"),
            Answer::stream("id: p2\ndata: answer\n\n"),
        ]);
        let transcript = all(&mut server.source().open().unwrap()).await;
        assert_eq!(transcript[1], "message #p1: ");
        assert_eq!(transcript[2], "again in 150 ms: the server ended the response");
        assert_eq!(transcript[4], "message #p2: answer");
        assert_eq!(server.seen()[1].header("last-event-id"), Some(&b"p1"[..]));
    });
}

#[test]
fn line_46_the_hubs_word_on_a_resume_reaches_the_caller() {
    run(async {
        let answer = Answer::stream("event: tidings.reset\ndata: {\"reason\":\"expired\"}\n\n")
            .header("tidings-resume", "reset");
        let server = Server::new([answer]);
        let mut source = server.source().open().unwrap();
        let Some(Ok(Item::Open(open))) = source.next().await else {
            panic!("not open");
        };
        assert_eq!(open.headers["tidings-resume"], "reset");
        let event = source.next_event().await.unwrap().unwrap();
        assert_eq!(event.event_type(), "tidings.reset");
        let reason: serde_json::Value = event.json().unwrap();
        assert_eq!(reason["reason"], "expired");
    });
}

#[test]
fn line_47_the_getters_of_the_proposed_readable_stream_source_are_there() {
    run(async {
        let server = Server::new([Answer::stream("id: 5\nretry: 170\ndata: 1\n\n").hangs()]);
        let mut source = server.source().open().unwrap();
        let handle = source.handle();
        assert_eq!(handle.last_event_id(), None);
        assert_eq!(handle.reconnection_time(), None);
        next(&mut source).await;
        next(&mut source).await;
        assert_eq!(handle.last_event_id().unwrap().as_str(), "5");
        let read = tokio::time::timeout(Duration::from_secs(1), source.next());
        assert!(read.await.is_err());
        assert_eq!(handle.reconnection_time(), Some(Duration::from_millis(170)));
    });
}

#[test]
fn a_policy_may_take_a_refusal_for_temporary_and_honour_its_retry_after() {
    run(async {
        let server = Server::new([
            Answer::status(503).header("retry-after", "7"),
            Answer::stream("data: 1\n\n"),
        ]);
        let policy = Backoff::new().jitter(0.0).temporary(http::StatusCode::SERVICE_UNAVAILABLE);
        let mut source = server.source().retry_policy(policy).open().unwrap();
        let transcript = all(&mut source).await;
        assert_eq!(transcript[0], "again in 7000 ms: the server answered 503 Service Unavailable");
        assert_eq!(transcript[2], "message: 1");
    });
}

#[test]
fn a_retry_after_has_the_bounds_of_a_retry() {
    for (seconds, wait) in [("0", 100), ("86400", 86_400_000), ("86401", 86_400_000)] {
        run(async {
            let server = Server::new([Answer::status(503).header("retry-after", seconds)]);
            let policy = Backoff::constant(Duration::ZERO)
                .floor(Duration::ZERO)
                .temporary(http::StatusCode::SERVICE_UNAVAILABLE);
            let mut source = server.source().retry_policy(policy).open().unwrap();
            let expected =
                format!("again in {wait} ms: the server answered 503 Service Unavailable");
            assert_eq!(next(&mut source).await, expected);
        });
    }
}

#[test]
fn the_reconnection_time_that_a_caller_sees_is_within_the_same_bounds() {
    for (retry, millis) in
        [("retry: 0\n", 100), ("retry: 500\n", 500), ("retry: 99999999999\n", 86_400_000)]
    {
        run(async {
            let server = Server::new([Answer::stream(retry).hangs()]);
            let mut source = server.source().open().unwrap();
            next(&mut source).await;
            let read = tokio::time::timeout(Duration::from_secs(1), source.next());
            assert!(read.await.is_err());
            let seen = source.handle().reconnection_time();
            assert_eq!(seen, Some(Duration::from_millis(millis)), "{retry:?}");
        });
    }
}

#[test]
fn a_policy_that_gives_up_ends_the_source_with_the_last_cause() {
    run(async {
        let server = Server::new([Answer::no_connection(), Answer::no_connection()]);
        let policy = Backoff::new().retries_max(1);
        let mut source = server.source().retry_policy(policy).open().unwrap();
        assert!(next(&mut source).await.starts_with("again"));
        let error = source.next().await.unwrap().unwrap_err();
        let ReadError::GaveUp { retries: 1, cause: Cause::Network(_) } = error else {
            panic!("{error:?}");
        };
        assert!(source.next().await.is_none());
    });
}
