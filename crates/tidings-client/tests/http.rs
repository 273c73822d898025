//! The source over real sockets: HTTP/1.1, and HTTP/2 without TLS.

#![allow(clippy::unwrap_used)]

mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings_client::{
    Backoff, Cause, EventSource, HttpTransport, Item, ReadError, RememberRedirects,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use wire::{Server, Speaks, Writer, event_stream};

/// Starts a server that hands each event stream it begins to the test.
async fn streams() -> (Server, mpsc::UnboundedReceiver<(http::HeaderMap, Writer)>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let server = Server::start(move |request| {
        let sender = sender.clone();
        async move {
            let (writer, response) = event_stream();
            sender.send((request.headers().clone(), writer)).unwrap();
            response
        }
    })
    .await;
    (server, receiver)
}

fn source(url: &str) -> EventSource {
    EventSource::builder(url)
        .retry_policy(Backoff::constant(Duration::from_millis(10)).floor(Duration::ZERO))
        .open()
        .unwrap()
}

async fn is_open(source: &mut EventSource) {
    let item = source.next().await.unwrap().unwrap();
    assert!(matches!(item, Item::Open(_)), "{item:?}");
}

async fn lost_by(source: &mut EventSource) -> Cause {
    match source.next().await.unwrap().unwrap() {
        Item::Reconnecting(lost) => lost.cause,
        other => panic!("{other:?}"),
    }
}

async fn data(source: &mut EventSource) -> String {
    source.next_event().await.unwrap().unwrap().into_data()
}

#[tokio::test]
async fn an_event_arrives_while_the_response_goes_on() {
    let (server, mut streams) = streams().await;
    let mut source = source(&server.url("/"));
    is_open(&mut source).await;
    let (_, writer) = streams.recv().await.unwrap();
    for n in ["1", "2", "3"] {
        writer.write(format!("data: {n}\n\n")).await;
        assert_eq!(data(&mut source).await, n);
    }
}

#[tokio::test]
async fn a_response_that_ends_and_one_that_breaks_off_are_told_apart() {
    let (server, mut streams) = streams().await;
    let mut source = source(&server.url("/"));
    is_open(&mut source).await;
    drop(streams.recv().await);
    assert!(matches!(lost_by(&mut source).await, Cause::Ended));
    is_open(&mut source).await;
    let (_, writer) = streams.recv().await.unwrap();
    writer.break_off().await;
    assert!(matches!(lost_by(&mut source).await, Cause::Network(_)));
}

/// A server may close a connection that it kept open just when the next request is sent on it.
#[tokio::test]
async fn a_kept_connection_that_closes_before_its_answer_costs_no_second_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let (mut kept, _) = listener.accept().await.unwrap();
        has_request(&mut kept).await;
        kept.write_all(format!("{head}9\r\ndata: 1\n\n\r\n0\r\n\r\n").as_bytes()).await.unwrap();
        has_request(&mut kept).await;
        drop(kept);
        let (mut fresh, _) = listener.accept().await.unwrap();
        has_request(&mut fresh).await;
        fresh.write_all(format!("{head}9\r\ndata: 2\n\n\r\n").as_bytes()).await.unwrap();
        fresh
    });
    let mut source = source(&format!("http://{address}/"));
    is_open(&mut source).await;
    assert_eq!(data(&mut source).await, "1");
    assert!(matches!(lost_by(&mut source).await, Cause::Ended));
    is_open(&mut source).await;
    assert_eq!(data(&mut source).await, "2");
    drop(server.await.unwrap());
}

/// Reads a request without a body.
async fn has_request(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "closed within a head");
    }
}

#[tokio::test]
async fn a_resumed_source_sends_its_last_event_id_as_raw_utf8() {
    let (server, mut streams) = streams().await;
    let mut source = source(&server.url("/"));
    is_open(&mut source).await;
    let (headers, writer) = streams.recv().await.unwrap();
    assert_eq!(headers.get("last-event-id"), None);
    writer.write("id: …é\ndata: 1\n\n").await;
    data(&mut source).await;
    drop(writer);
    lost_by(&mut source).await;
    is_open(&mut source).await;
    let (headers, _) = streams.recv().await.unwrap();
    assert_eq!(headers["last-event-id"].as_bytes(), "…é".as_bytes());
}

#[tokio::test]
async fn a_closed_source_hangs_up() {
    let (server, mut streams) = streams().await;
    let mut source = source(&server.url("/"));
    is_open(&mut source).await;
    let (_, writer) = streams.recv().await.unwrap();
    source.close();
    assert!(source.next().await.is_none());
    writer.closed().await;
}

#[tokio::test]
async fn a_restarted_source_hangs_up_and_comes_back() {
    let (server, mut streams) = streams().await;
    let mut source = source(&server.url("/"));
    let handle = source.handle();
    is_open(&mut source).await;
    let (_, first) = streams.recv().await.unwrap();
    // From another task, while this one sleeps in the source.
    tokio::spawn(async move { handle.restart() });
    assert!(matches!(lost_by(&mut source).await, Cause::Restarted));
    first.closed().await;
    is_open(&mut source).await;
    let (_, second) = streams.recv().await.unwrap();
    second.write("data: 2\n\n").await;
    assert_eq!(data(&mut source).await, "2");
}

#[tokio::test]
async fn a_server_that_went_away_and_came_back_is_found_again() {
    let (server, mut streams) = streams().await;
    let address = server.address;
    let mut source = source(&server.url("/"));
    is_open(&mut source).await;
    let (_, writer) = streams.recv().await.unwrap();
    writer.write("id: 1\ndata: 1\n\n").await;
    data(&mut source).await;
    drop((server, writer));
    for _ in 0..3 {
        assert!(matches!(lost_by(&mut source).await, Cause::Network(_)));
    }

    let resumed = Arc::new(Mutex::new(None));
    let seen = resumed.clone();
    let _server = Server::start_at(address, Speaks::Http1, move |request| {
        *seen.lock().unwrap() = request.headers().get("last-event-id").cloned();
        let (writer, response) = event_stream();
        tokio::spawn(async move { writer.write("data: 2\n\n").await });
        async { response }
    })
    .await;
    let event = source.next_event().await.unwrap().unwrap();
    assert_eq!(event.data(), "2");
    assert_eq!(event.last_event_id().unwrap().as_str(), "1");
    assert_eq!(resumed.lock().unwrap().as_ref().unwrap(), "1");
}

#[tokio::test]
async fn a_token_does_not_follow_a_redirect_to_another_port() {
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let seen = tokens.clone();
    let elsewhere = Server::start(move |request| {
        let token = request.headers().get("authorization").cloned();
        seen.lock().unwrap().push(token);
        let (writer, response) = event_stream();
        tokio::spawn(async move { writer.closed().await });
        async { response }
    })
    .await;
    let location = elsewhere.url("/there");
    let seen = tokens.clone();
    let server = Server::start(move |request| {
        let token = request.headers().get("authorization").cloned();
        seen.lock().unwrap().push(token);
        let (_, mut response) = event_stream();
        *response.status_mut() = http::StatusCode::TEMPORARY_REDIRECT;
        let location = location.parse().unwrap();
        response.headers_mut().insert("location", location);
        async { response }
    })
    .await;
    let mut source = EventSource::builder(&server.url("/"))
        .bearer_token("secret")
        .remember_redirects(RememberRedirects::Always)
        .open()
        .unwrap();
    is_open(&mut source).await;
    let tokens = tokens.lock().unwrap().clone();
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[0].as_ref().unwrap(), "Bearer secret");
    assert_eq!(tokens[1], None);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_a_network_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut source = EventSource::builder(&format!("http://{address}/"))
        .retry_policy(Backoff::new().retries_max(0))
        .open()
        .unwrap();
    let error = source.next().await.unwrap().unwrap_err();
    let ReadError::GaveUp { cause: Cause::Network(error), retries: 0 } = error else {
        panic!("{error:?}");
    };
    assert!(error.is_connect());
}

#[tokio::test]
async fn over_http2_two_sources_share_a_connection() {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start_at(address, Speaks::Http2, |request| async move {
        assert_eq!(request.version(), http::Version::HTTP_2);
        let (writer, response) = event_stream();
        tokio::spawn(async move {
            writer.write(format!("data: {}\n\n", request.uri().path())).await;
            writer.closed().await;
        });
        response
    })
    .await;
    let transport = HttpTransport::http2_prior_knowledge();
    let open = |path| {
        let builder = EventSource::builder(&server.url(path));
        builder.transport(transport.clone()).open().unwrap()
    };
    let (mut one, mut two) = (open("/1"), open("/2"));
    assert_eq!(data(&mut one).await, "/1");
    assert_eq!(data(&mut two).await, "/2");
    assert_eq!(server.connections(), 1);
    // And to close one is not to close the other.
    one.close();
    assert!(one.next().await.is_none());
    assert_eq!(two.ready_state(), tidings_client::ReadyState::Open);
}

/// h2 ends a connection on which too many small frames wait unread (hyperium/h2 issue 944).
#[tokio::test]
async fn over_http2_a_burst_of_small_frames_is_no_offence() {
    const EVENTS: usize = 200_000;
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start_at(address, Speaks::Http2, |_| async {
        let (writer, response) = event_stream();
        tokio::spawn(async move {
            for n in 0..EVENTS {
                writer.write(format!("data: {n}\n\n")).await;
            }
            writer.closed().await;
        });
        response
    })
    .await;
    let mut source = EventSource::builder(&server.url("/"))
        .transport(HttpTransport::http2_prior_knowledge())
        .one_shot()
        .open()
        .unwrap();
    for n in 0..EVENTS {
        assert_eq!(data(&mut source).await, n.to_string());
    }
}
