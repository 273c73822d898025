//! HTTP by hand, for the two things a `Publisher` does not do: pipe an event stream in, and end a
//! topic.

use std::io::{Error, Result};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Hub;

/// A `POST` of `text/event-stream` whose body is still being written.
pub(super) struct Pipe(TcpStream);

impl Pipe {
    /// Begins one.
    pub(super) async fn open(hub: &Hub, topic: &str) -> Result<Self> {
        let head = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n";
        Ok(Self(send(hub, "POST", topic, head).await?))
    }

    /// Writes a block of the stream: it is published at once.
    pub(super) async fn write(&mut self, block: &str) -> Result<()> {
        let chunk = format!("{:x}\r\n{block}\r\n", block.len());
        self.0.write_all(chunk.as_bytes()).await
    }

    /// Ends the stream, and waits until the hub has all of it.
    pub(super) async fn finish(mut self) -> Result<()> {
        self.0.write_all(b"0\r\n\r\n").await?;
        answer(self.0).await
    }
}

/// Ends a topic: its subscribers get `event: end` and are told not to come back.
pub(super) async fn end(hub: &Hub, topic: &str) -> Result<()> {
    answer(send(hub, "DELETE", topic, "").await?).await
}

async fn send(hub: &Hub, method: &str, topic: &str, headers: &str) -> Result<TcpStream> {
    let address = hub.url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let start = format!("{method} /events/{topic} HTTP/1.1\r\nHost: {address}\r\n");
    let key = format!("Authorization: Bearer {}\r\n", hub.key);
    let head = format!("{start}{key}{headers}Connection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    Ok(socket)
}

async fn answer(mut socket: TcpStream) -> Result<()> {
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(Error::other(answer))
}
