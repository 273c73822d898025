//! Requests over HTTP to hubs and servers that may be killed at any moment.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time for an answer to a request that is not a stream.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client with a connection, which it makes anew when it needs to.
pub(crate) struct Client {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request was not sent.
    NotSent,
    /// Nobody knows what became of it.
    Unknown,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, sender: None }
    }

    /// Sends a request, and returns the complete answer.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let answered = timeout(PATIENCE, self.exchange(method, target, headers, body.into())).await;
        let answer = answered.unwrap_or(Err(Failure::Unknown));
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    /// `GET`, as JSON.
    pub(crate) async fn get(&mut self, target: &str) -> Option<Value> {
        let json = [("accept", "application/json")];
        let (status, body) = self.send(Method::GET, target, &json, "").await.ok()?;
        if status != StatusCode::OK {
            return None;
        }
        serde_json::from_slice(&body).ok()
    }

    async fn exchange(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let answer = self.begin(method, target, headers, body).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|_| Failure::Unknown)?;
        Ok((status, body.to_bytes()))
    }

    /// Sends a request, and returns the answer as soon as its head is there.
    pub(crate) async fn begin(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<http::Response<Incoming>, Failure> {
        let mut sender = match self.kept().await {
            Some(sender) => sender,
            None => connect(self.address).await.map_err(|_| Failure::NotSent)?,
        };
        let mut request =
            Request::builder().method(method).uri(target).header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).expect("targets and headers are valid");
        let answer = sender.send_request(request).await.map_err(|error| {
            if error.is_canceled() { Failure::NotSent } else { Failure::Unknown }
        })?;
        self.sender = Some(sender);
        Ok(answer)
    }

    /// The connection, if it is still there.
    async fn kept(&mut self) -> Option<SendRequest<Full<Bytes>>> {
        let mut sender = self.sender.take()?;
        sender.ready().await.is_ok().then_some(sender)
    }
}

async fn connect(
    address: SocketAddr,
) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
