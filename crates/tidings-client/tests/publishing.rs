//! The publisher, against a hub that recognises ids and a network that fails in every way.

#![allow(clippy::unwrap_used)]

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tidings_client::{
    Body, Cause, Event, EventId, EventType, PublishError, Publisher, PublisherBuilder, SendFuture,
    Transport, TransportError,
};
use tokio::time::Instant;

/// The fate of one request.
#[derive(Debug, Clone)]
enum Fate {
    /// No connection.
    Unconnected,
    /// It is lost on the way, after this many lines.
    LostAfter(usize),
    /// It is done, but the answer is lost.
    AnswerLost,
    /// It is done, but the answer never comes.
    Silence,
    /// It is not done, and answered with this.
    Answered(u16, &'static str),
    /// The same, before its body has ended.
    AnsweredEarly(u16, &'static str),
    /// It is not done, and redirected to this place.
    Moved(u16, &'static str),
}

#[derive(Clone, Default)]
struct Hub(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    fates: VecDeque<Fate>,
    requests: Vec<(Method, String, HeaderMap, Duration)>,
    /// Topic, id, type, retry and data.
    events: Vec<(String, String, Value, Value, String)>,
    ids: HashSet<String>,
    began: Option<Instant>,
}

impl Hub {
    fn with(fates: impl IntoIterator<Item = Fate>) -> Self {
        let hub = Self::default();
        hub.0.lock().unwrap().fates = fates.into_iter().collect();
        hub
    }

    fn publisher(&self) -> PublisherBuilder {
        Publisher::builder("http://hub/").transport(self.clone())
    }

    fn data(&self) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state.events.iter().map(|event| event.4.clone()).collect()
    }

    fn requests(&self) -> Vec<(Method, String, HeaderMap, Duration)> {
        self.0.lock().unwrap().requests.clone()
    }

    fn urls(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.1).collect()
    }

    /// Publishes what a line says, and answers with the id and whether it is new.
    fn take(&self, line: &Value) -> (String, bool) {
        let mut state = self.0.lock().unwrap();
        let id = match line["id"].as_str() {
            Some(id) => id.to_owned(),
            None => format!("hub:{}", state.events.len()),
        };
        let is_new = state.ids.insert(id.clone());
        if is_new {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            let (event, retry) = (line["event"].clone(), line["retry"].clone());
            state.events.push((text("topic"), id.clone(), event, retry, text("data")));
        }
        (id, is_new)
    }

    async fn answer(
        self,
        request: Request<Body>,
        fate: Option<Fate>,
    ) -> Result<Response<Body>, TransportError> {
        let lost = || Err(TransportError::exchange("lost by the test"));
        let (head, mut body) = request.into_parts();
        if let Some(Fate::AnsweredEarly(status, text)) = fate {
            return Ok(answer(status, text));
        }
        if let Some(Fate::Moved(status, to)) = fate {
            let mut response = answer(status, "<h1>Moved</h1>");
            response.headers_mut().insert("location", to.parse().unwrap());
            return Ok(response);
        }
        let is_stream = head.uri.path().ends_with("/events");
        let mut pending = Vec::new();
        let (mut ids, mut published, mut lines) = (Vec::new(), 0, 0);
        while let Some(frame) = body.frame().await {
            pending.extend_from_slice(&frame?.into_data().unwrap());
            while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
                if !is_stream {
                    break;
                }
                if matches!(fate, Some(Fate::LostAfter(max)) if lines == max) {
                    return lost();
                }
                let line: Vec<u8> = pending.drain(..=end).collect();
                if !matches!(fate, Some(Fate::Answered(..))) {
                    let (id, is_new) = self.take(&serde_json::from_slice(&line).unwrap());
                    published += usize::from(is_new);
                    ids.push(id);
                }
                lines += 1;
            }
        }
        match fate {
            Some(Fate::LostAfter(_)) => return lost(),
            Some(Fate::Answered(status, text)) => return Ok(answer(status, text)),
            _ => {}
        }
        let text = if is_stream {
            json!({
                "published": published,
                "duplicates": ids.len() - published,
                "first_id": ids.first(),
                "last_id": ids.last(),
            })
        } else {
            let query = head.uri.query().unwrap_or_default();
            let mut line = json!({
                "topic": head.uri.path().split_once("/events/").unwrap().1,
                "data": String::from_utf8(pending).unwrap(),
            });
            for pair in query.split('&').filter_map(|pair| pair.split_once('=')) {
                line[pair.0] = pair.1.into();
            }
            let (id, is_new) = self.take(&line);
            match is_new {
                true => json!({ "id": id }),
                false => json!({ "id": id, "duplicate": true }),
            }
        };
        match fate {
            Some(Fate::AnswerLost) => lost(),
            Some(Fate::Silence) => std::future::pending().await,
            _ => Ok(answer(200, &text.to_string())),
        }
    }
}

fn answer(status: u16, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(seconds) = text.strip_prefix("after ") {
        let seconds = seconds.parse().unwrap();
        response.headers_mut().insert("retry-after", seconds);
    }
    response
}

impl Transport for Hub {
    fn send(&self, request: Request<Body>) -> SendFuture {
        let hub = self.clone();
        Box::pin(async move {
            let fate = {
                let mut state = hub.0.lock().unwrap();
                let began = *state.began.get_or_insert_with(Instant::now);
                state.requests.push((
                    request.method().clone(),
                    request.uri().to_string(),
                    request.headers().clone(),
                    began.elapsed(),
                ));
                state.fates.pop_front()
            };
            if matches!(fate, Some(Fate::Unconnected)) {
                return Err(TransportError::connect("unconnected by the test"));
            }
            hub.answer(request, fate).await
        })
    }
}

fn named(id: &str, data: &str) -> Event {
    let mut event = Event::new(data);
    event.id = Some(EventId::new(id).unwrap());
    event
}

#[tokio::test(start_paused = true)]
async fn one_event_is_one_request_with_the_data_as_its_body() {
    let hub = Hub::default();
    let publisher = hub.publisher().bearer_token("t").build().unwrap();
    let mut event = named("7", "two\nlines");
    event.event_type = Some(EventType::new("score").unwrap());
    event.retry_ms = Some(500);
    let published = publisher.publish("a/b", &event).await.unwrap();
    assert_eq!(published.id.as_str(), "7");
    assert!(!published.duplicate);
    let (method, url, headers, _) = hub.requests().remove(0);
    assert_eq!(method, Method::POST);
    assert_eq!(url, "http://hub/events/a/b?event=score&id=7&retry=500");
    assert_eq!(headers["authorization"], "Bearer t");
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(hub.data(), ["two\nlines"]);
}

#[tokio::test(start_paused = true)]
async fn a_hub_below_a_path_is_published_to_below_that_path() {
    let hub = Hub::default();
    let publisher = Publisher::builder("http://hub/a/?x").transport(hub.clone());
    let publisher = publisher.assign_ids(false).build().unwrap();
    publisher.publish("t", &Event::new("1")).await.unwrap();
    assert_eq!(hub.urls(), ["http://hub/a/events/t"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_answer_is_lost_is_tried_again_and_published_once() {
    let hub = Hub::with([Fate::AnswerLost, Fate::Silence, Fate::Unconnected]);
    let publisher = hub.publisher().build().unwrap();
    let published = publisher.publish("t", &Event::new("1")).await.unwrap();
    assert!(!published.duplicate);
    assert_eq!(hub.data(), ["1"]);
    let urls = hub.urls();
    assert_eq!(urls.len(), 4);
    assert!(urls.iter().all(|url| url == &urls[0]));
}

#[tokio::test(start_paused = true)]
async fn ids_that_are_assigned_differ_from_event_to_event_and_publisher_to_publisher() {
    let hub = Hub::default();
    let mut ids = HashSet::new();
    for _ in 0..3 {
        let publisher = hub.publisher().build().unwrap();
        for _ in 0..3 {
            let published = publisher.publish("t", &Event::new("1")).await.unwrap();
            ids.insert(published.id);
        }
    }
    assert_eq!(ids.len(), 9);
}

#[tokio::test(start_paused = true)]
async fn the_callers_id_is_used_and_a_second_publish_with_it_is_a_duplicate() {
    let hub = Hub::default();
    let publisher = hub.publisher().build().unwrap();
    assert!(!publisher.publish("t", &named("7", "1")).await.unwrap().duplicate);
    assert!(publisher.publish("t", &named("7", "1")).await.unwrap().duplicate);
    assert_eq!(hub.data(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_without_an_id_is_tried_again_only_if_it_was_not_published() {
    for fate in [Fate::Unconnected, Fate::Answered(503, ""), Fate::Answered(429, "after 7")] {
        let hub = Hub::with([fate]);
        let publisher = hub.publisher().assign_ids(false).build().unwrap();
        publisher.publish("t", &Event::new("1")).await.unwrap();
        assert_eq!(hub.data(), ["1"]);
        assert_eq!(hub.urls()[1], "http://hub/events/t");
    }
    for fate in [Fate::AnswerLost, Fate::Silence, Fate::LostAfter(0)] {
        let hub = Hub::with([fate]);
        let publisher = hub.publisher().assign_ids(false).build().unwrap();
        let error = publisher.publish("t", &Event::new("1")).await.unwrap_err();
        assert!(matches!(error, PublishError::Unanswered { retries: 0, .. }));
        assert_eq!(hub.urls().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_asks_to_wait_is_waited_for() {
    let hub = Hub::with([Fate::Answered(429, "after 7")]);
    let publisher = hub.publisher().build().unwrap();
    publisher.publish("t", &Event::new("1")).await.unwrap();
    assert!(hub.requests()[1].3 >= Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_publish_ends_after_so_many_tries_and_says_what_may_have_happened() {
    let hub = Hub::with(vec![Fate::Unconnected; 100]);
    let publisher = hub.publisher().retries_max(3).build().unwrap();
    let error = publisher.publish("t", &Event::new("1")).await.unwrap_err();
    assert!(matches!(error, PublishError::Unreached { retries: 3, .. }));
    assert_eq!(hub.urls().len(), 4);

    let hub = Hub::with([Fate::AnswerLost, Fate::Unconnected]);
    let publisher = hub.publisher().retries_max(1).build().unwrap();
    let error = publisher.publish("t", &Event::new("1")).await.unwrap_err();
    let PublishError::Unanswered { cause, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(cause, Cause::Network(_)));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_with_the_hubs_own_words_and_not_tried_again() {
    let problem = r#"{"code":"bad-topic","title":"No such topic","detail":"It has a *."}"#;
    let hub = Hub::with([Fate::Answered(400, problem)]);
    let publisher = hub.publisher().build().unwrap();
    let error = publisher.publish("t", &Event::new("1")).await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!(problem.code, "bad-topic");
    assert_eq!(problem.status, 400);
    assert_eq!(hub.urls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn success_from_something_that_is_no_hub_is_an_error() {
    let hub = Hub::with([Fate::Answered(200, "<html>")]);
    let publisher = hub.publisher().build().unwrap();
    let error = publisher.publish("t", &Event::new("1")).await.unwrap_err();
    assert!(matches!(error, PublishError::NotAHub(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_cannot_stand_in_a_path_is_published_all_the_same() {
    let hub = Hub::default();
    let publisher = hub.publisher().build().unwrap();
    let topic = "https://example.com/../x";
    let published = publisher.publish(topic, &Event::new("1")).await.unwrap();
    let state = hub.0.lock().unwrap();
    assert_eq!(state.events[0].0, topic);
    assert_eq!(state.events[0].1, published.id.as_str());
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_one_request_and_is_published_once_whatever_is_lost() {
    let hub = Hub::with([Fate::LostAfter(1), Fate::AnswerLost]);
    let publisher = hub.publisher().build().unwrap();
    let events = [Event::new("1"), named("7", "2"), Event::new("3")];
    let batch = [("a", &events[0]), ("b//c", &events[1]), ("a", &events[2])];
    let summary = publisher.publish_all(batch).await.unwrap();
    assert_eq!(hub.data(), ["1", "2", "3"]);
    assert_eq!(summary.stored(), 3);
    assert_eq!(summary.duplicates, 3);
    assert_eq!(hub.urls(), ["http://hub/events"; 3]);
    assert_eq!(hub.requests()[0].2["content-type"], "application/x-ndjson");
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_and_an_empty_stream_send_nothing() {
    let hub = Hub::default();
    let publisher = hub.publisher().build().unwrap();
    assert_eq!(publisher.publish_all([]).await.unwrap().stored(), 0);
    assert_eq!(publisher.stream().finish().await.unwrap().stored(), 0);
    assert!(hub.urls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_cut_into_requests_and_adds_up() {
    let hub = Hub::default();
    let publisher = hub.publisher().build().unwrap();
    let mut stream = publisher.stream();
    for n in 0..50_000 {
        let event = named(&format!("id{n}"), &n.to_string());
        stream.send("t", &event).await.unwrap();
    }
    let summary = stream.finish().await.unwrap();
    assert_eq!(summary.published, 50_000);
    assert_eq!(summary.first_id.unwrap().as_str(), "id0");
    assert_eq!(summary.last_id.unwrap().as_str(), "id49999");
    let sent: Vec<_> = (0..50_000).map(|n: u32| n.to_string()).collect();
    assert_eq!(hub.data(), sent);
    assert_eq!(hub.urls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_stream_publishes_each_event_once_and_in_order_whatever_is_lost() {
    let hub = Hub::with([
        Fate::LostAfter(0),
        Fate::LostAfter(700),
        Fate::Unconnected,
        Fate::AnswerLost,
        Fate::Answered(502, "Bad Gateway"),
        Fate::LostAfter(15_000),
        Fate::Silence,
    ]);
    let publisher = hub.publisher().retries_max(10).build().unwrap();
    let mut stream = publisher.stream();
    let sent: Vec<_> = (0..20_000).map(|n: u32| n.to_string()).collect();
    for data in &sent {
        stream.send("t", &Event::new(data.clone())).await.unwrap();
    }
    let summary = stream.finish().await.unwrap();
    assert_eq!(summary.stored(), 20_000);
    assert_eq!(hub.data(), sent);
}

#[tokio::test(start_paused = true)]
async fn events_of_a_stream_are_on_their_way_before_it_ends() {
    let hub = Hub::default();
    let publisher = hub.publisher().build().unwrap();
    let mut stream = publisher.stream();
    for n in 1..=3 {
        stream.send("t", &Event::new(n.to_string())).await.unwrap();
        while hub.data().len() < n {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(stream.finish().await.unwrap().published, 3);
    assert_eq!(hub.urls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_be_flushed_and_goes_on() {
    let hub = Hub::default();
    let publisher = hub.publisher().build().unwrap();
    let mut stream = publisher.stream();
    stream.send("t", &Event::new("1")).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(hub.data(), ["1"]);
    stream.send("t", &Event::new("2")).await.unwrap();
    assert_eq!(stream.finish().await.unwrap().published, 2);
    assert_eq!(hub.urls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_ids_is_not_sent_again() {
    let hub = Hub::with([Fate::LostAfter(1)]);
    let publisher = hub.publisher().assign_ids(false).build().unwrap();
    let mut stream = publisher.stream();
    stream.send("t", &Event::new("1")).await.unwrap();
    let sent = stream.send("t", &Event::new("2")).await;
    let error = match sent {
        Ok(()) => stream.finish().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, PublishError::Unanswered { retries: 0, .. }));
    assert_eq!(hub.data(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_hub_refuses_midway_ends_with_its_words() {
    let problem = r#"{"code":"bad-line","title":"A line is wrong","line":3}"#;
    let hub = Hub::with([Fate::AnsweredEarly(400, problem)]);
    let publisher = hub.publisher().build().unwrap();
    let mut stream = publisher.stream();
    let error = loop {
        if let Err(error) = stream.send("t", &Event::new("1")).await {
            break error;
        }
    };
    let problem = error.problem().unwrap();
    assert_eq!(problem.code, "bad-line");
    assert_eq!(problem.members["line"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_pauses_is_answered_and_goes_on() {
    let hub = Hub::default();
    let publisher = hub.publisher().build().unwrap();
    let mut stream = publisher.stream();
    let sent = ["1", "2", "3", "4"];
    for data in sent {
        stream.send("t", &Event::new(data)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let summary = stream.finish().await.unwrap();
    // Nothing had to be sent twice.
    assert_eq!((summary.published, summary.duplicates), (4, 0));
    assert_eq!(hub.data(), sent);
    assert_eq!(hub.urls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_ids_is_not_sent_again_after_a_refusal_either() {
    for status in [408, 429, 503] {
        let hub = Hub::with([Fate::AnsweredEarly(status, "")]);
        let publisher = hub.publisher().assign_ids(false).build().unwrap();
        let event = Event::new("1");
        let error = publisher.publish_all([("t", &event)]).await.unwrap_err();
        assert_eq!(error.problem().unwrap().status, status);
        assert_eq!(hub.urls().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_counts_fewer_events_than_it_was_given_is_not_believed() {
    let hub = Hub::with([Fate::Answered(200, r#"{"published":1,"duplicates":0}"#)]);
    let publisher = hub.publisher().build().unwrap();
    let mut stream = publisher.stream();
    for _ in 0..2 {
        stream.send("t", &Event::new("1")).await.unwrap();
    }
    let error = stream.finish().await.unwrap_err();
    assert!(matches!(error, PublishError::NotAHub(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_is_cut_short_by_a_timeout_is_continued_by_whatever_comes_next() {
    // The first try is silent until it is given up; each later fate delays the stream elsewhere.
    for fate in [Fate::Silence, Fate::AnswerLost, Fate::Unconnected, Fate::Answered(503, "")] {
        for patience_ms in [0, 1, 50, 29_000, 31_000] {
            let hub = Hub::with([fate.clone(), fate.clone()]);
            let mut stream = hub.publisher().build().unwrap().stream();
            let patience = Duration::from_millis(patience_ms);
            stream.send("t", &Event::new("1")).await.unwrap();
            let _ = tokio::time::timeout(patience, stream.flush()).await;
            let _ = tokio::time::timeout(patience, stream.flush()).await;
            stream.send("t", &Event::new("2")).await.unwrap();
            let _ = tokio::time::timeout(patience, stream.flush()).await;
            stream.flush().await.unwrap();
            assert_eq!(stream.finish().await.unwrap().stored(), 2, "{fate:?} {patience:?}");
            assert_eq!(hub.data(), ["1", "2"], "{fate:?} {patience:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_send_is_cut_short_was_not_given_and_the_others_arrive_once() {
    // The hub takes nothing for half a minute, and the room in front of it is used up.
    let hub = Hub::with([Fate::AnsweredEarly(503, ""), Fate::Silence]);
    let mut stream = hub.publisher().retries_max(10).build().unwrap().stream();
    let (mut given, mut cut) = (Vec::new(), 0);
    for n in 0..40_000 {
        let event = Event::new(n.to_string());
        let send = stream.send("t", &event);
        match tokio::time::timeout(Duration::from_millis(1), send).await {
            Ok(sent) => {
                sent.unwrap();
                given.push(event.data);
            }
            Err(_) => cut += 1,
        }
    }
    assert!(cut > 0, "no send had to wait");
    assert_eq!(stream.finish().await.unwrap().stored(), given.len() as u64);
    assert_eq!(hub.data(), given);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_failed_says_so_and_does_not_panic() {
    let hub = Hub::with([Fate::AnsweredEarly(400, "no")]);
    let mut stream = hub.publisher().build().unwrap().stream();
    stream.send("t", &Event::new("1")).await.unwrap();
    assert!(matches!(stream.flush().await, Err(PublishError::Refused(_))));
    let event = Event::new("2");
    assert!(matches!(stream.send("t", &event).await, Err(PublishError::AlreadyFailed)));
    assert!(matches!(stream.flush().await, Err(PublishError::AlreadyFailed)));
    assert!(matches!(stream.finish().await, Err(PublishError::AlreadyFailed)));
}

#[tokio::test(start_paused = true)]
async fn a_publish_follows_a_redirect_that_keeps_the_method_and_leaves_its_token_at_home() {
    for status in [307, 308] {
        for (to, keeps_token) in [("/elsewhere/events", true), ("http://other/events", false)] {
            let hub = Hub::with([Fate::Moved(status, to), Fate::Moved(status, to)]);
            let publisher = hub.publisher().bearer_token("t").build().unwrap();
            let mut stream = publisher.stream();
            stream.send("t", &Event::new("1")).await.unwrap();
            stream.send("t", &Event::new("2")).await.unwrap();
            assert_eq!(stream.finish().await.unwrap().published, 2);
            let event = Event::new("3");
            let batch = [("t", &event)];
            assert_eq!(publisher.publish_all(batch).await.unwrap().stored(), 1);
            assert_eq!(hub.data(), ["1", "2", "3"]);
            let requests = hub.requests();
            assert_eq!(requests[0].1, "http://hub/events");
            assert!(requests[1].1.ends_with(to), "{}", requests[1].1);
            assert!(requests[0].2.contains_key("authorization"));
            assert_eq!(requests[1].2.contains_key("authorization"), keeps_token);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_that_a_publish_does_not_follow_says_where_it_leads() {
    for status in [300, 301, 302, 303] {
        let hub = Hub::with([Fate::Moved(status, "https://u:secret@other/login?token=x")]);
        let publisher = hub.publisher().build().unwrap();
        let error = publisher.publish("t", &Event::new("1")).await.unwrap_err();
        let problem = error.problem().unwrap().to_string();
        assert!(problem.contains("https://other/login?token=***"), "{problem}");
        assert_eq!(hub.urls().len(), 1);
    }
    let hub = Hub::with(std::iter::repeat_n(Fate::Moved(307, "/events"), 30));
    let publisher = hub.publisher().build().unwrap();
    let error = publisher.publish("t", &Event::new("1")).await.unwrap_err();
    assert_eq!(error.problem().unwrap().status, 307);
    assert_eq!(hub.urls().len(), 21);
}
