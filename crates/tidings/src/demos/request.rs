//! The two things a `Publisher` does not do: pipe a run in, and end a topic.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use tidings_client::{Body, HttpTransport, Transport as _, TransportError};
use tokio::task::JoinHandle;

use super::{Ended, Hub};

/// A run: a topic that one producer begins, streams into, and ends.
pub(super) struct Run {
    blocks: Sender<Bytes, TransportError>,
    answer: JoinHandle<Result<(), Ended>>,
}

impl Run {
    /// Begins one. If the producer is lost, its last will `will`, of the type `lost`, ends the
    /// topic some seconds later. If there is such a run already, the hub refuses this one with 412.
    pub(super) fn open(hub: &Hub, topic: &str, will: &str) -> Result<Self, Ended> {
        let (blocks, body) = Channel::new(1);
        let terms = format!("end&will={will}&will-event=lost&lost=3s");
        let request = request(hub, Method::POST, &format!("{topic}?{terms}"))
            .header(header::CONTENT_TYPE, "text/event-stream")
            .header(header::IF_NONE_MATCH, "*")
            .body(Body::stream(body))?;
        Ok(Self { blocks, answer: tokio::spawn(send(request)) })
    }

    /// Writes a block of the stream: it is published at once. Fails when somebody has ended the
    /// topic: the hub answers then, with 409, without waiting for the rest.
    pub(super) async fn write(&mut self, block: &str) -> Result<(), Ended> {
        if self.answer.is_finished() {
            (&mut self.answer).await??;
            return Err("the hub answered before the end".into());
        }
        Ok(self.blocks.send_data(Bytes::copy_from_slice(block.as_bytes())).await?)
    }

    /// Ends the stream and with it the topic, and waits until the hub has all of it.
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
