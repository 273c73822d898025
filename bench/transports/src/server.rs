//! A server as in tutorials: hyper for HTTP, tokio-tungstenite for WebSocket, a broadcast channel
//! between them. A WebSocket arrives on the same port: its first bytes are peeked at before they
//! are read.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;
use tokio_tungstenite::tungstenite::Message;

use crate::feed::Feed;

type Body = BoxBody<Bytes, Infallible>;
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Time that a long poll waits before it answers with no events.
const LONG_POLL: Duration = Duration::from_secs(30);

#[tokio::main]
pub async fn run(port: u16) -> Result<(), Failed> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let feed = Arc::new(Feed::new());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let feed = Arc::clone(&feed);
        tokio::spawn(async move {
            let mut start = [0; 7];
            let _ = socket.peek(&mut start).await;
            if start == *b"GET /ws" {
                websocket(socket, &feed).await
            } else {
                let service = service_fn(|request| answer(request, Arc::clone(&feed)));
                let http = hyper::server::conn::http1::Builder::new();
                http.serve_connection(TokioIo::new(socket), service).await.map_err(Into::into)
            }
        });
    }
}

async fn websocket(socket: TcpStream, feed: &Feed) -> Result<(), Failed> {
    let mut events = feed.live.subscribe();
    let mut socket = tokio_tungstenite::accept_async(socket).await?;
    loop {
        tokio::select! {
            event = events.recv() => {
                let text = String::from_utf8_lossy(&event?.1).into_owned();
                socket.send(Message::text(text)).await?;
            }
            // Pings, and the end.
            message = socket.next() => match message {
                Some(message) => drop(message?),
                None => return Ok(()),
            },
        }
    }
}

async fn answer(request: Request<Incoming>, feed: Arc<Feed>) -> Result<Response<Body>, Infallible> {
    let after = request.uri().query().and_then(|query| query.strip_prefix("after="));
    let after = after.and_then(|after| after.parse().ok()).unwrap_or(u64::MAX);
    let json = |page: String| {
        let response = Response::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CACHE_CONTROL, "no-store");
        response.body(Full::new(Bytes::from(page)).boxed()).expect("valid headers")
    };
    Ok(match request.uri().path() {
        "/publish" => {
            if let Ok(body) = request.into_body().collect().await {
                feed.publish(body.to_bytes());
            }
            json("{}\n".to_owned())
        }
        "/sse" => sse(&feed),
        "/long" => {
            let mut head = feed.head.subscribe();
            let _ = tokio::time::timeout(LONG_POLL, head.wait_for(|head| *head > after)).await;
            json(feed.page(after))
        }
        _ => json(feed.page(after)),
    })
}

fn sse(feed: &Feed) -> Response<Body> {
    let events = feed.live.subscribe();
    let frames = stream::unfold(events, |mut events| async move {
        loop {
            match events.recv().await {
                Ok((id, data)) => {
                    let data = String::from_utf8_lossy(&data).into_owned();
                    let block = format!("id: {id}\ndata: {data}\n\n");
                    return Some((Ok(Frame::data(Bytes::from(block))), events));
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    Response::builder()
        .header(header::CONTENT_TYPE, "text/event-stream")
        .header(header::CACHE_CONTROL, "no-cache")
        .body(BodyExt::boxed(StreamBody::new(frames)))
        .expect("valid headers")
}
