//! What a program needs beyond the standard.

#![allow(clippy::unwrap_used)]

mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tidings_client::{
    Backoff, Cause, EventId, EventSource, EventType, Item, LastIdFile, LastIdStore, Lost,
    OpenError, ReadError, ReadyState, RetryPolicy,
};

use world::{Answer, Server, all, next, run};

fn token(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", value.parse().unwrap());
    headers
}

#[test]
fn each_attempt_has_a_fresh_token_and_redirects_share_it() {
    run(async {
        let server = Server::new([
            Answer::redirect(307, "/b"),
            Answer::stream("data: 1\n\n"),
            Answer::stream("data: 2\n\n"),
        ]);
        let mut count = 0;
        let mut source = server
            .source()
            .bearer_token("stale")
            .on_attempt(move |_| {
                count += 1;
                let headers = token(&format!("Bearer {count}"));
                async move {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Ok(headers)
                }
            })
            .open()
            .unwrap();
        all(&mut source).await;
        let tokens: Vec<_> = server
            .seen()
            .iter()
            .map(|seen| String::from_utf8(seen.header("authorization").unwrap().to_vec()).unwrap())
            .collect();
        assert_eq!(tokens, ["Bearer 1", "Bearer 1", "Bearer 2", "Bearer 3"]);
    });
}

#[test]
fn a_hook_that_fails_is_an_attempt_in_vain() {
    run(async {
        let server = Server::new([Answer::stream("data: 1\n\n")]);
        let mut calls = 0;
        let mut source = server
            .source()
            .on_attempt(move |_| {
                calls += 1;
                let works = calls != 1;
                async move {
                    if works { Ok(HeaderMap::new()) } else { Err("no token available".into()) }
                }
            })
            .open()
            .unwrap();
        let transcript = all(&mut source).await;
        assert_eq!(
            transcript[..3],
            ["again in 3000 ms: the attempt could not be prepared", "open", "message: 1"]
        );
    });
}

#[test]
fn a_hook_learns_that_the_last_token_was_refused() {
    run(async {
        let server = Server::new([Answer::status(401), Answer::stream("id: 4\ndata: 1\n\n")]);
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let seen = attempts.clone();
        let mut source = server
            .source()
            .retry_policy(Backoff::new().temporary(StatusCode::UNAUTHORIZED))
            .on_attempt(move |attempt| {
                let id = attempt.last_event_id.map(|id| id.as_str().to_owned());
                seen.lock().unwrap().push((attempt.retries, attempt.refused, id));
                async { Ok(HeaderMap::new()) }
            })
            .open()
            .unwrap();
        all(&mut source).await;
        let attempts = attempts.lock().unwrap().clone();
        assert_eq!(
            attempts,
            [
                (0, None, None),
                (1, Some(StatusCode::UNAUTHORIZED), None),
                (1, None, Some("4".to_owned())),
            ]
        );
    });
}

#[test]
fn a_one_shot_source_ends_with_its_response() {
    run(async {
        let server = Server::new([Answer::stream("retry: 1\ndata: [DONE]\n\n")]);
        let mut source = server.source().one_shot().open().unwrap();
        assert_eq!(all(&mut source).await, ["open", "message: [DONE]"]);
        assert_eq!(source.ready_state(), ReadyState::Closed);
        assert_eq!(server.seen().len(), 1);
    });
}

#[test]
fn a_one_shot_source_never_tries_again() {
    for (answer, expected) in [
        (Answer::no_connection(), "network error"),
        (Answer::stream("data: half").breaks(), "network error"),
        (Answer::stream("").hangs(), "nothing was received for 9s"),
    ] {
        run(async {
            let server = Server::new([answer]);
            let source = server.source().one_shot().idle_timeout(Duration::from_secs(9));
            let mut source = source.open().unwrap();
            let error = loop {
                match source.next().await.unwrap() {
                    Ok(Item::Open(_)) => {}
                    Ok(item) => panic!("{item:?}"),
                    Err(error) => break error,
                }
            };
            let ReadError::Broken(cause) = error else {
                panic!("{error:?}");
            };
            assert_eq!(cause.to_string(), expected);
            assert!(source.next().await.is_none());
            assert_eq!(server.seen().len(), 1);
        });
    }
}

#[test]
fn a_one_shot_source_takes_no_refusal_for_temporary() {
    run(async {
        let server = Server::new([Answer::status(503)]);
        let policy = Backoff::new().temporary(StatusCode::SERVICE_UNAVAILABLE);
        let mut source = server.source().retry_policy(policy).one_shot().open().unwrap();
        let transcript = all(&mut source).await;
        assert_eq!(transcript, ["over: the server answered 503 Service Unavailable"]);
    });
}

#[test]
fn restart_cuts_a_wait_short_and_resumes() {
    run(async {
        let server =
            Server::new([Answer::stream("id: 3\ndata: 1\n\n"), Answer::stream("data: 2\n\n")]);
        let mut source = server.source().open().unwrap();
        let handle = source.handle();
        for expected in ["open", "message #3: 1"] {
            assert_eq!(next(&mut source).await, expected);
        }
        assert!(next(&mut source).await.starts_with("again in 3000 ms"));
        handle.restart();
        assert_eq!(next(&mut source).await, "again in 0 ms: a new connection was requested");
        assert_eq!(next(&mut source).await, "open");
        let second = &server.seen()[1];
        assert_eq!(second.at, Duration::ZERO);
        assert_eq!(second.header("last-event-id"), Some(&b"3"[..]));
    });
}

/// A store that remembers in memory, and can be made to fail.
#[derive(Clone, Default)]
struct Memory {
    saved: Arc<Mutex<Vec<Option<String>>>>,
    load_fails: bool,
}

impl LastIdStore for Memory {
    fn load(&mut self) -> std::io::Result<Option<EventId>> {
        if self.load_fails {
            return Err(std::io::Error::other("made to fail"));
        }
        let saved = self.saved.lock().unwrap();
        Ok(saved.last().cloned().flatten().map(|id| EventId::new(id).unwrap()))
    }

    fn save(&mut self, id: Option<&EventId>) -> std::io::Result<()> {
        let id = id.map(|id| id.as_str().to_owned());
        self.saved.lock().unwrap().push(id);
        Ok(())
    }
}

#[test]
fn an_id_is_saved_when_the_caller_comes_back_for_more() {
    run(async {
        let store = Memory::default();
        let stream = "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n";
        let server = Server::new([Answer::stream(stream).hangs()]);
        let source = server.source().last_id_store(store.clone());
        let mut source = source.open().unwrap();
        for _ in 0..3 {
            next(&mut source).await;
        }
        // The second event is being handled: were this the end, it would have to come again.
        assert!(store.saved.lock().unwrap().is_empty());
        let more = tokio::time::timeout(Duration::from_secs(1), source.next());
        assert!(more.await.is_err());
        assert_eq!(*store.saved.lock().unwrap(), [Some("2".to_owned())]);
        drop(source);

        let server = Server::new([Answer::stream("id\ndata: 3\n\n")]);
        let source = server.source().last_id_store(store.clone());
        let mut source = source.last_event_id(EventId::new("0").unwrap()).open().unwrap();
        all(&mut source).await;
        assert_eq!(server.seen()[0].header("last-event-id"), Some(&b"2"[..]));
        assert_eq!(*store.saved.lock().unwrap(), [Some("2".to_owned()), None]);
    });
}

#[test]
fn a_store_that_cannot_be_read_keeps_the_source_from_opening() {
    let store = Memory { load_fails: true, ..Memory::default() };
    let source = Server::new([]).source().last_id_store(store).open();
    assert!(matches!(source, Err(OpenError::LastIdStore(_))));
}

#[test]
fn a_file_keeps_the_last_id_over_processes() {
    let path = std::env::temp_dir().join(format!("tidings-last-id-{}", std::process::id()));
    let file = LastIdFile::new(&path);
    assert_eq!(file.clone().load().unwrap(), None);
    for id in ["1", "…\u{2028} 2"] {
        let id = EventId::new(id).unwrap();
        file.clone().save(Some(&id)).unwrap();
        assert_eq!(file.clone().load().unwrap(), Some(id));
    }
    file.clone().save(None).unwrap();
    assert_eq!(file.clone().load().unwrap(), None);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn data_is_read_as_json_and_what_is_none_is_told() {
    run(async {
        let server =
            Server::new([Answer::stream("data: {\"a\":\ndata: 1}\n\nevent: x\ndata: a\n\n")]);
        let mut source = server.source().open().unwrap();
        let event = source.next_event().await.unwrap().unwrap();
        let value: std::collections::HashMap<String, u32> = event.json().unwrap();
        assert_eq!(value["a"], 1);
        let event = source.next_event().await.unwrap().unwrap();
        let error = event.json::<u32>().unwrap_err();
        assert_eq!(error.to_string(), "the data of a \"x\" event is not the json expected");
    });
}

#[test]
fn an_event_can_be_passed_on_as_it_was_sent() {
    run(async {
        let server =
            Server::new([Answer::stream("id: 1\nretry: 5\nevent: x\ndata: 1\n\ndata: 2\n\n")]);
        let mut source = server.source().open().unwrap();
        let first = source.next_event().await.unwrap().unwrap().into_sent();
        assert_eq!(first.id, Some(EventId::new("1").unwrap()));
        assert_eq!(first.event_type, Some(EventType::new("x").unwrap()));
        assert_eq!(first.retry_ms, Some(5));
        let second = source.next_event().await.unwrap().unwrap();
        assert_eq!(second.last_event_id().unwrap().as_str(), "1");
        let second = second.into_sent();
        assert_eq!(second.id, None);
        assert_eq!(second.retry_ms, None);
    });
}

/// A policy of the caller's own.
struct Impatient;

impl RetryPolicy for Impatient {
    fn wait(&mut self, lost: &Lost<'_>) -> Option<Duration> {
        match lost.cause {
            Cause::Ended => None,
            _ => Some(Duration::from_millis(1)),
        }
    }
}

#[test]
fn a_policy_may_tell_causes_apart() {
    run(async {
        let server = Server::new([
            Answer::no_connection(),
            Answer::stream("data: 1\n\n").breaks(),
            Answer::stream("data: 2\n\n"),
        ]);
        let mut source = server.source().retry_policy(Impatient).open().unwrap();
        assert_eq!(
            all(&mut source).await,
            [
                "again in 1 ms: network error",
                "open",
                "message: 1",
                "again in 1 ms: network error",
                "open",
                "message: 2",
                "over: could not connect, and may not retry",
            ]
        );
    });
}

#[test]
fn what_makes_no_request_is_said_when_opening() {
    for url in ["", "/events", "ftp://server/", "http://"] {
        assert!(matches!(EventSource::open(url), Err(OpenError::Url(_))), "{url:?}");
    }
    let bad =
        |name: &str, value: &str| EventSource::builder("http://h/").header(name, value).open();
    assert!(matches!(bad("a b", "c"), Err(OpenError::HeaderName(_))));
    assert!(matches!(bad("a", "b\nc"), Err(OpenError::HeaderValue(_))));
}

#[test]
fn a_source_that_never_pauses_lets_others_run() {
    run(async {
        let stream = (0..10_000).fold(Answer::stream(""), |answer, _| answer.send("data: 1\n\n"));
        let server = Server::new([stream.hangs()]);
        let mut source = server.source().open().unwrap();
        let reader = tokio::spawn(async move {
            let mut events = 0;
            while events < 10_000 {
                source.next_event().await.unwrap().unwrap();
                events += 1;
            }
        });
        let mut turns = 0;
        while !reader.is_finished() {
            tokio::task::yield_now().await;
            turns += 1;
        }
        assert!(turns > 10, "{turns} turns");
    });
}
