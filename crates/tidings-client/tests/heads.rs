//! The heads of requests and answers, as bytes on real sockets.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use http::HeaderMap;
use tidings_client::{Backoff, Event, EventSource, Item, PublishError, Publisher, ReadError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A server that answers each request with the same bytes, and hands the request to the test.
async fn server(answer: impl Into<Vec<u8>>) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::unbounded_channel();
    let answer = answer.into();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            let _ = sender.send(String::from_utf8(head).unwrap().to_ascii_lowercase());
            let _ = socket.write_all(&answer).await;
            let _ = socket.shutdown().await;
            let _ = socket.read_to_end(&mut Vec::new()).await;
        }
    });
    (url, receiver)
}

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

fn stream(fields: &str) -> String {
    format!("{STREAM}{fields}\r\ndata: 1\n\n")
}

/// Reads up to the first event, or the end.
async fn outcome(url: &str) -> Result<String, ReadError> {
    let backoff = Backoff::constant(Duration::ZERO).floor(Duration::ZERO).retries_max(20);
    let mut source = EventSource::builder(url).retry_policy(backoff).open().unwrap();
    source.next_event().await.unwrap().map(|event| event.into_data())
}

#[tokio::test]
async fn a_request_says_who_asks_and_that_it_reads_no_compressed_body() {
    let (url, mut requests) = server(stream("")).await;
    outcome(&url).await.unwrap();
    let asked = requests.recv().await.unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(asked.contains(&format!("\r\nuser-agent: tidings/{version}\r\n")), "{asked}");
    assert!(asked.contains("\r\naccept-encoding: identity\r\n"), "{asked}");

    let publisher = Publisher::builder(&url).retries_max(0).build().unwrap();
    let _ = publisher.publish("t", &Event::new("1")).await;
    let asked = requests.recv().await.unwrap();
    assert!(asked.contains(&format!("\r\nuser-agent: tidings/{version}\r\n")), "{asked}");
    assert!(asked.contains("\r\naccept-encoding: identity\r\n"), "{asked}");
}

#[tokio::test]
async fn headers_that_were_given_are_sent_as_they_were_given() {
    let (url, mut requests) = server(stream("")).await;
    let mut headers = HeaderMap::new();
    headers.append("x-tag", "one".parse().unwrap());
    headers.append("x-tag", "two".parse().unwrap());
    headers.append("user-agent", "mine/1".parse().unwrap());
    headers.append("last-event-id", "5".parse().unwrap());
    let mut source = EventSource::builder(&url).headers(headers.clone()).open().unwrap();
    assert_eq!(source.last_event_id().unwrap().as_str(), "5");
    source.next_event().await.unwrap().unwrap();
    let asked = requests.recv().await.unwrap();
    for line in ["x-tag: one", "x-tag: two", "user-agent: mine/1", "last-event-id: 5"] {
        assert_eq!(asked.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {asked}");
    }
    assert_eq!(asked.matches("user-agent").count(), 1);

    let publisher = Publisher::builder(&url).retries_max(0).headers(headers).build().unwrap();
    let _ = publisher.publish("t", &Event::new("1")).await;
    let asked = requests.recv().await.unwrap();
    assert!(asked.contains("\r\nx-tag: one\r\n") && asked.contains("\r\nx-tag: two\r\n"));
}

#[tokio::test]
async fn a_head_with_folded_fields_or_with_hundreds_is_read() {
    let (url, _requests) = server(stream("X-Folded: one\r\n  two\r\n")).await;
    assert_eq!(outcome(&url).await.unwrap(), "1");
    let many: String = (0..900).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let (url, _requests) = server(stream(&many)).await;
    assert_eq!(outcome(&url).await.unwrap(), "1");
}

#[tokio::test]
async fn a_head_that_cannot_be_read_ends_a_source_at_once_and_is_not_asked_for_again() {
    let many: String = (0..2000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    for answer in [
        stream(&many),
        stream("a field without a colon\r\n"),
        stream("Bad Name: x\r\n"),
        "SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned(),
        "HTTP/1.1 abc\r\n\r\n".to_owned(),
    ] {
        let (url, mut requests) = server(answer.clone()).await;
        let error = outcome(&url).await.unwrap_err();
        assert!(matches!(error, ReadError::Malformed(_)), "{error:?} after {answer:?}");
        requests.recv().await.unwrap();
        assert!(requests.try_recv().is_err(), "asked again after {answer:?}");

        let publisher = Publisher::new(&url).unwrap();
        let error = publisher.publish("t", &Event::new("1")).await.unwrap_err();
        assert!(matches!(error, PublishError::Unanswered { retries: 0, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_head_that_breaks_off_is_asked_for_again() {
    let (url, mut requests) = server("HTTP/1.1 200 OK\r\nContent-Ty").await;
    let error = outcome(&url).await.unwrap_err();
    assert!(matches!(error, ReadError::GaveUp { retries: 20, .. }), "{error:?}");
    for _ in 0..20 {
        requests.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_compressed_answer_is_called_that() {
    for coding in ["gzip", "identity, br", "x-mine"] {
        let (url, _requests) = server(stream(&format!("Content-Encoding: {coding}\r\n"))).await;
        let error = outcome(&url).await.unwrap_err().to_string();
        assert!(error.contains(&format!("Content-Encoding: {coding}")), "{error}");
        assert!(!error.contains("not an event stream"), "{error}");
    }
}

#[tokio::test]
async fn a_retry_after_may_be_a_date() {
    let (url, _requests) = server(
        "HTTP/1.1 503 Busy\r\nDate: Sun, 06 Nov 1994 08:49:30 GMT\r\n\
         Retry-After: Sun, 06 Nov 1994 08:50:00 GMT\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let backoff = Backoff::new().jitter(0.0).temporary_gateways();
    let mut source = EventSource::builder(&url).retry_policy(backoff).open().unwrap();
    match source.next().await.unwrap().unwrap() {
        Item::Reconnecting(lost) => assert_eq!(lost.wait, Duration::from_secs(30)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_proxies_say_while_the_server_is_away_is_tried_again() {
    for status in [408, 429, 502, 503, 504, 520, 521, 522, 523, 524, 529, 530] {
        let (url, _requests) = server(format!("HTTP/1.1 {status} x\r\n\r\n")).await;
        let backoff = Backoff::constant(Duration::ZERO)
            .floor(Duration::ZERO)
            .temporary_gateways()
            .retries_max(2);
        let mut source = EventSource::builder(&url).retry_policy(backoff).open().unwrap();
        let error = source.next_event().await.unwrap().unwrap_err();
        assert!(matches!(error, ReadError::GaveUp { retries: 2, .. }), "{status}: {error:?}");
    }
}
