//! The two things a `Publisher` does not do: pipe an event stream in, and end a topic.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use tidings_client::{Body, HttpTransport, Transport as _, TransportError};
use tokio::task::JoinHandle;

use super::{Ended, Hub};

/// A `POST` of `text/event-stream` whose body is still being written.
pub(super) struct Pipe {
    blocks: Sender<Bytes, TransportError>,
    answer: JoinHandle<Result<(), Ended>>,
}

impl Pipe {
    /// Begins one.
    pub(super) fn open(hub: &Hub, topic: &str) -> Result<Self, Ended> {
        let (blocks, body) = Channel::new(1);
        let request = request(hub, Method::POST, topic)
            .header(header::CONTENT_TYPE, "text/event-stream")
            .body(Body::stream(body))?;
        Ok(Self { blocks, answer: tokio::spawn(send(request)) })
    }

    /// Writes a block of the stream: it is published at once.
    pub(super) async fn write(&mut self, block: &str) -> Result<(), Ended> {
        Ok(self.blocks.send_data(Bytes::copy_from_slice(block.as_bytes())).await?)
    }

    /// Ends the stream, and waits until the hub has all of it.
    pub(super) async fn finish(self) -> Result<(), Ended> {
        drop(self.blocks);
        self.answer.await?
    }
}

/// Ends a topic: its subscribers get `event: end` and do not come back.
pub(super) async fn end(hub: &Hub, topic: &str) -> Result<(), Ended> {
    send(request(hub, Method::DELETE, topic).body(Body::empty())?).await
}

fn request(hub: &Hub, method: Method, topic: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("{}/events/{topic}", hub.url))
        .header(header::AUTHORIZATION, format!("Bearer {}", hub.key))
}

async fn send(request: Request<Body>) -> Result<(), Ended> {
    let answer = HttpTransport::new().send(request).await?;
    if answer.status() == StatusCode::OK {
        return Ok(());
    }
    let body = answer.into_body().collect().await?.to_bytes();
    Err(String::from_utf8_lossy(&body).into())
}
