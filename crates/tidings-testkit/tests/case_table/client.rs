//! A client of both protocols.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::Protocol;
use super::request::Sent;

/// Time to wait before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    address: SocketAddr,
    /// Its requests over HTTP/2 share a connection, as a browser's do.
    shared: http2::SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let io = connected(address).await;
        let (shared, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        Self { address, shared }
    }

    /// The status of the answer, and its body.
    pub(crate) async fn send(&mut self, sent: &Sent, protocol: Protocol) -> (u16, Body) {
        let uri = match protocol {
            Protocol::Http1 => sent.target.clone(),
            Protocol::Http2 => format!("http://localhost{}", sent.target),
        };
        let mut request = http::Request::builder().method(sent.method).uri(uri);
        if protocol == Protocol::Http1 {
            request = request.header("host", "localhost");
        }
        for (name, value) in &sent.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::from(sent.body.clone())).unwrap();
        let answer = tokio::time::timeout(PATIENCE, self.answer(request, protocol)).await;
        let answer =
            answer.unwrap_or_else(|_| panic!("no answer: {} {}", sent.method, sent.target));
        let status = answer.status().as_u16();
        let incoming = answer.into_body();
        (status, Body { incoming, text: String::new(), data: BTreeSet::new(), looked_at: 0 })
    }

    async fn answer(
        &mut self,
        request: http::Request<Full<Bytes>>,
        protocol: Protocol,
    ) -> http::Response<Incoming> {
        if protocol == Protocol::Http2 {
            return self.shared.send_request(request).await.unwrap();
        }
        let io = connected(self.address).await;
        let (mut sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }
}

async fn connected(address: SocketAddr) -> TokioIo<TcpStream> {
    let socket = TcpStream::connect(address).await.unwrap();
    // A body follows its head at once.
    socket.set_nodelay(true).unwrap();
    TokioIo::new(socket)
}

/// The beginning and the end of all data.
pub(crate) const MARKS: (&str, &str) = ("data-of-", "~");

/// A body, and what was read of it.
pub(crate) struct Body {
    incoming: Incoming,
    pub(crate) text: String,
    /// All data in the text.
    pub(crate) data: BTreeSet<String>,
    looked_at: usize,
}

impl Body {
    /// Reads more; returns whether there is more.
    pub(crate) async fn more(&mut self) -> bool {
        let frame = tokio::time::timeout(PATIENCE, self.incoming.frame());
        match frame.await {
            Ok(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.text += str::from_utf8(data).unwrap();
                    self.look();
                }
                true
            }
            // Cut, or ended.
            Ok(Some(Err(_)) | None) => false,
            Err(_) => panic!("nothing more comes after {:?}", self.text),
        }
    }

    fn look(&mut self) {
        let (begin, end) = MARKS;
        while let Some(found) = self.text[self.looked_at..].find(begin) {
            let at = self.looked_at + found;
            let Some(length) = self.text[at..].find(end) else { return };
            self.looked_at = at + length + end.len();
            self.data.insert(self.text[at..self.looked_at].to_owned());
        }
    }

    pub(crate) async fn read_to_end(&mut self) {
        while self.more().await {}
    }
}
