//! Our client against our hub: each keeps the promises that the other relies on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_client::{
    Backoff, EraseTarget, Event, EventId, EventSource, EventType, HttpTransport, Item,
    PublishError, Publisher, Reconnecting, Resume,
};
use tidings_hub::{Epoch, Log, MemoryStore};
use tidings_testkit::ports;
use tidings_testkit::server::{EPOCH, TestServer};
use tokio::runtime::Runtime;

/// The server has a runtime, which cannot be dropped inside another. So the test has its own
/// runtime, and enters it only for the client's part.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn source(url: &str) -> EventSource {
    EventSource::builder(url)
        .retry_policy(Backoff::new().cap(Duration::from_millis(100)).jitter(0.0))
        .open()
        .unwrap()
}

/// The hub asks for seconds, but the test does not wait.
fn do_not_wait(source: &EventSource, lost: &Reconnecting) {
    if !lost.wait.is_zero() {
        source.handle().restart();
    }
}

async fn open(source: &mut EventSource) -> String {
    loop {
        match source.next().await.unwrap().unwrap() {
            Item::Open(open) => return open.headers["tidings-resume"].to_str().unwrap().to_owned(),
            Item::Reconnecting(lost) => do_not_wait(source, &lost),
            other => panic!("{other:?}"),
        }
    }
}

async fn data(source: &mut EventSource) -> String {
    loop {
        match source.next().await.unwrap().unwrap() {
            Item::Event(event) => return event.into_data(),
            Item::Reconnecting(lost) => do_not_wait(source, &lost),
            _ => {}
        }
    }
}

#[test]
fn a_published_event_arrives_unchanged() {
    let server = TestServer::start();
    runtime().block_on(async {
        let mut source = source(&server.url("/events/room/1"));
        assert_eq!(open(&mut source).await, "live");
        let publisher = Publisher::new(&server.url("")).unwrap();
        let mut event = Event::new("two\nlines and a {");
        event.event_type = Some(EventType::new("chat & more").unwrap());
        event.id = Some(EventId::new("my id/…").unwrap());
        let published = publisher.publish("room/1", &event).await.unwrap();
        assert_eq!(published.id, event.id.clone().unwrap());
        let arrived = source.next_event().await.unwrap().unwrap();
        assert_eq!(arrived.last_event_id(), event.id.as_ref());
        assert_eq!(arrived.event_type(), "chat & more");
        assert_eq!(arrived.into_sent(), event);
    });
}

#[test]
fn an_event_with_a_time_to_live_arrives_and_leaves_history_after_it() {
    let server = TestServer::start();
    runtime().block_on(async {
        let publisher = Publisher::new(&server.url("")).unwrap();
        let briefly = publisher.with_ttl(Duration::from_millis(500));
        let mut live = source(&server.url("/events?topic=a&topic=b//c"));
        open(&mut live).await;
        briefly.publish("a", &Event::new("1")).await.unwrap();
        briefly.publish("b//c", &Event::new("2")).await.unwrap();
        briefly.publish_all([("a", &Event::new("3"))]).await.unwrap();
        let mut stream = briefly.stream();
        stream.send("a", &Event::new("4")).await.unwrap();
        stream.set_ttl(None);
        stream.send("a", &Event::new("5")).await.unwrap();
        stream.finish().await.unwrap();
        publisher.publish("a", &Event::new("6")).await.unwrap();
        for n in 1..=6 {
            assert_eq!(data(&mut live).await, n.to_string());
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let mut replay = source(&server.url("/events?topic=a&topic=b//c&from=start"));
            if data(&mut replay).await == "5" {
                assert_eq!(data(&mut replay).await, "6");
                break;
            }
            assert!(Instant::now() < deadline, "the events are still there");
        }
        let never = publisher.with_ttl(Duration::ZERO);
        let refused = never.publish("a", &Event::new("x")).await.unwrap_err();
        assert!(matches!(&refused, PublishError::Refused(problem) if problem.status == 400));
    });
}

#[test]
fn an_id_is_published_once_and_an_assigned_one_is_returned() {
    let server = TestServer::start();
    runtime().block_on(async {
        let publisher = Publisher::new(&server.url("")).unwrap();
        let mut event = Event::new("1");
        let assigned = publisher.publish("a", &event).await.unwrap();
        assert!(!assigned.duplicate);
        event.id = Some(assigned.id);
        assert!(publisher.publish("a", &event).await.unwrap().duplicate);

        let plain = Publisher::builder(&server.url("")).assign_ids(false).build().unwrap();
        let published = plain.publish("a", &Event::new("2")).await.unwrap();
        assert_eq!(published.id.as_str(), format!("{EPOCH}:2"));
    });
}

#[test]
fn any_topic_can_be_published_to_in_every_way() {
    let server = TestServer::start();
    runtime().block_on(async {
        let publisher = Publisher::new(&server.url("")).unwrap();
        for topic in ["a", "a b/ü?#%", "https://example.com/books/1", "a/../b", "/a", "a/"] {
            let query: String = url_encoded(topic);
            let mut source = source(&server.url(&format!("/events?topic={query}")));
            open(&mut source).await;
            publisher.publish(topic, &Event::new("1")).await.unwrap();
            publisher.publish_all([(topic, &Event::new("2"))]).await.unwrap();
            let mut stream = publisher.stream();
            stream.send(topic, &Event::new("3")).await.unwrap();
            stream.finish().await.unwrap();
            for expected in ["1", "2", "3"] {
                assert_eq!(data(&mut source).await, expected, "{topic}");
            }
        }
    });
}

fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn a_rejection_has_the_hubs_code() {
    let server = TestServer::start();
    runtime().block_on(async {
        let publisher = Publisher::new(&server.url("")).unwrap();
        let error = publisher.publish("a/*", &Event::new("1")).await.unwrap_err();
        let problem = error.problem().expect("the hub has refused");
        assert_eq!(problem.status, 400);
        assert!(!problem.code.is_empty() && !problem.title.is_empty(), "{problem:?}");

        let long = Event::new("x".repeat(64 << 20));
        let error = publisher.publish("a", &long).await.unwrap_err();
        assert_eq!(error.problem().expect("the hub has refused").status, 413);
    });
}

#[test]
fn a_publish_without_room_is_rejected_at_once_and_not_retried() {
    let server = TestServer::builder().engine(|engine| engine.topics_max = 1).start();
    let refused = || {
        let page = server.get_json("/metrics").text().to_owned();
        let line = "tidings_refusals_total{code=\"too_many_topics\"} ";
        let count = page.lines().find_map(|found| found.strip_prefix(line).map(str::to_owned));
        count.unwrap_or_else(|| panic!("{page}"))
    };
    runtime().block_on(async {
        let publisher = Publisher::new(&server.url("")).unwrap();
        let plain = Publisher::builder(&server.url("")).assign_ids(false).build().unwrap();
        let event = Event::new("1");
        publisher.publish("a", &event).await.unwrap();
        let mut stream = publisher.stream();
        stream.send("b", &event).await.unwrap();
        let errors = [
            publisher.publish("b", &event).await.unwrap_err(),
            plain.publish("b", &event).await.unwrap_err(),
            publisher.publish_all([("a", &event), ("b", &event)]).await.unwrap_err(),
            stream.finish().await.unwrap_err(),
        ];
        for error in &errors {
            let problem = error.problem().expect("the hub has refused");
            assert_eq!((problem.status.as_u16(), &*problem.code), (507, "too_many_topics"));
            assert!(problem.detail.contains("retention"), "{problem}");
        }
        publisher.publish("a", &event).await.unwrap();
    });
    assert_eq!(refused(), "4");
}

#[test]
fn a_stream_of_many_events_arrives_complete_and_in_order() {
    const EVENTS: u64 = 40_000;
    let server = TestServer::start();
    let url = server.url("/events/many");
    let hub = server.url("");
    let reader = std::thread::spawn(move || {
        runtime().block_on(async {
            let mut source = source(&url);
            open(&mut source).await;
            let publisher = Publisher::builder(&hub).assign_ids(false).build().unwrap();
            let writer = tokio::spawn(async move {
                let mut stream = publisher.stream();
                for n in 0..EVENTS {
                    stream.send("many", &Event::new(n.to_string())).await.unwrap();
                }
                stream.finish().await.unwrap()
            });
            for n in 0..EVENTS {
                assert_eq!(data(&mut source).await, n.to_string());
            }
            let summary = writer.await.unwrap();
            assert_eq!(summary.published, EVENTS);
            assert_eq!(summary.first_id.unwrap().as_str(), format!("{EPOCH}:1"));
            assert_eq!(summary.last_id.unwrap().as_str(), format!("{EPOCH}:{EVENTS}"));
        });
    });
    reader.join().unwrap();
}

/// A server on the address of one that has ended.
fn start_at(address: SocketAddr, store: &Arc<dyn Log>) -> TestServer {
    let builder = TestServer::builder().store(store.clone());
    builder.config(|config| config.http.listen = vec![address]).start()
}

#[test]
fn nothing_is_lost_or_doubled_when_the_hub_is_replaced_under_both_ends() {
    let epoch = Epoch::parse(EPOCH).unwrap();
    let store: Arc<dyn Log> =
        Arc::new(MemoryStore::new(epoch, 64 << 20, Duration::from_secs(3600)));
    let mut server = start_at(ports::address(), &store);
    let address = server.address();
    let runtime = runtime();
    let mut source = source(&server.url("/events/a"));
    let publisher = Publisher::builder(&server.url("")).retries_max(20).build().unwrap();
    assert_eq!(runtime.block_on(open(&mut source)), "live");
    for round in 0..3 {
        runtime.block_on(async {
            for n in 0..10 {
                publisher.publish("a", &Event::new(format!("{round}.{n}"))).await.unwrap();
            }
            for n in 0..10 {
                assert_eq!(data(&mut source).await, format!("{round}.{n}"));
            }
        });
        server.stop();
        server = start_at(address, &store);
        // Another event comes while the source is not polled.
        let unseen = Event::new(format!("{round}.unseen"));
        runtime.block_on(async {
            publisher.publish("a", &unseen).await.unwrap();
            assert_eq!(data(&mut source).await, unseen.data);
        });
    }
}

#[test]
fn a_source_resumes_from_an_id_and_learns_if_that_is_impossible() {
    let server = TestServer::start();
    runtime().block_on(async {
        let publisher = Publisher::builder(&server.url("")).assign_ids(false).build().unwrap();
        for data in ["1", "2", "3"] {
            publisher.publish("a", &Event::new(data)).await.unwrap();
        }
        for (id, resume, expected) in
            [(format!("{EPOCH}:1"), "resumed", "2"), ("zzzzzz:1".to_owned(), "reset", "")]
        {
            let id = EventId::new(id).unwrap();
            let builder = EventSource::builder(&server.url("/events/a"));
            let mut source = builder.last_event_id(id.clone()).open().unwrap();
            let Some(Ok(Item::Open(open))) = source.next().await else {
                panic!("not open");
            };
            assert_eq!(open.resume, Resume::From(id));
            assert_eq!(open.headers["tidings-resume"], resume);
            let event = source.next_event().await.unwrap().unwrap();
            match resume {
                "resumed" => assert_eq!(event.data(), expected),
                _ => assert_eq!(event.event_type(), "tidings.reset"),
            }
        }
    });
}

#[test]
fn a_topic_that_ends_ends_its_sources() {
    let server = TestServer::start();
    runtime().block_on(async {
        let mut source = source(&server.url("/events/a"));
        open(&mut source).await;
        server.post("/events/a", "1");
        assert_eq!(data(&mut source).await, "1");
        let answer = server.request("DELETE", "/events/a", &[], "");
        assert!((200..300).contains(&answer.status()), "{}", answer.status());
        let event = source.next_event().await.unwrap().unwrap();
        assert_eq!(event.event_type(), "end");
        let error = loop {
            match source.next().await.unwrap() {
                Ok(Item::Reconnecting(lost)) => do_not_wait(&source, &lost),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(error.is_no_content());
    });
}

#[test]
fn a_publisher_erases_an_event_a_key_and_a_topic() {
    let server = TestServer::start();
    runtime().block_on(async {
        let publisher = Publisher::new(&server.url("")).unwrap();
        let topic = "users/7/é";
        for data in ["one", "two"] {
            publisher.publish(topic, &Event::new(data)).await.unwrap();
        }
        let mut named = Event::new("named");
        named.id = Some(EventId::new("a b&c").unwrap());
        publisher.publish(topic, &named).await.unwrap();
        server.post("/events/users/7/%C3%A9?key=a%20%26b", "of a key");
        let id = named.id.as_ref().unwrap();
        let erase = async |target| publisher.erase(topic, target).await.map(|it| it.events);
        assert_eq!(erase(EraseTarget::Event(id)).await.unwrap(), 1);
        assert_eq!(erase(EraseTarget::Event(id)).await.unwrap(), 0);
        assert_eq!(erase(EraseTarget::Key("a &b")).await.unwrap(), 1);
        let history = server.get_json("/events/users/7/%C3%A9").json();
        assert_eq!(history["events"].as_array().unwrap().len(), 2, "{history}");
        assert_eq!(erase(EraseTarget::Topic).await.unwrap(), 2);
        assert_eq!(erase(EraseTarget::Topic).await.unwrap(), 0);
        let error = publisher.erase("never", EraseTarget::Topic).await.unwrap_err();
        assert_eq!(error.problem().unwrap().code, "event_unknown");
    });
}

#[test]
fn over_http2_sources_share_a_connection() {
    let server = TestServer::start();
    runtime().block_on(async {
        let transport = HttpTransport::http2_prior_knowledge();
        let mut sources = Vec::new();
        for topic in ["a", "b", "c"] {
            let builder = EventSource::builder(&server.url(&format!("/events/{topic}")));
            let mut source = builder.transport(transport.clone()).open().unwrap();
            assert_eq!(open(&mut source).await, "live");
            sources.push((topic, source));
        }
        let builder = Publisher::builder(&server.url("")).transport(transport.clone());
        let publisher = builder.build().unwrap();
        for (topic, source) in &mut sources {
            publisher.publish(topic, &Event::new(*topic)).await.unwrap();
            assert_eq!(data(source).await, *topic);
        }
    });
}
