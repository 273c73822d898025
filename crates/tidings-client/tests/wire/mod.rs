//! A real server on a loopback socket, whose answers are functions.

#![allow(dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Which protocol the server speaks on a connection.
#[derive(Clone, Copy)]
pub enum Speaks {
    Http1,
    Http2,
}

/// What an answer's body is written with. Dropping it ends the body in good order.
#[derive(Clone)]
pub struct Writer(mpsc::Sender<Result<Bytes, Broken>>);

impl Writer {
    /// Whether there is still someone to read it.
    pub async fn write(&self, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = Bytes::copy_from_slice(bytes.as_ref());
        self.0.send(Ok(bytes)).await.is_ok()
    }

    /// Ends the body in disorder.
    pub async fn break_off(self) {
        let _ = self.0.send(Err(Broken)).await;
    }

    /// Waits until the reader has gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

#[derive(Debug)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken off by the test")
    }
}

impl std::error::Error for Broken {}

pub struct Pieces(mpsc::Receiver<Result<Bytes, Broken>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.0.poll_recv(cx).map_ok(Frame::data)
    }
}

/// An event stream and what to write it with.
pub fn event_stream() -> (Writer, Response<Pieces>) {
    answer("text/event-stream")
}

pub fn answer(content_type: &str) -> (Writer, Response<Pieces>) {
    let (sender, receiver) = mpsc::channel(16);
    let response = Response::builder().header("content-type", content_type);
    (Writer(sender), response.body(Pieces(receiver)).unwrap())
}

/// An answer that is short and whole.
pub fn json(body: impl Into<Bytes>) -> Response<Pieces> {
    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(Ok(body.into())).unwrap();
    let response = Response::builder().header("content-type", "application/json");
    response.body(Pieces(receiver)).unwrap()
}

/// A server; dropped, it is gone with all its connections.
pub struct Server {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub async fn start<H, F>(handler: H) -> Self
    where
        H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Pieces>> + Send + 'static,
    {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_at(address, Speaks::Http1, handler).await
    }

    pub async fn start_at<H, F>(address: SocketAddr, speaks: Speaks, handler: H) -> Self
    where
        H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Pieces>> + Send + 'static,
    {
        let wrap = move |stream: TcpStream| async move { Some((stream, speaks)) };
        Self::start_with(address, wrap, handler).await
    }

    /// `wrap` makes of a TCP connection what HTTP is spoken over, and says which HTTP.
    pub async fn start_with<W, WF, S, H, F>(address: SocketAddr, wrap: W, handler: H) -> Self
    where
        W: Fn(TcpStream) -> WF + Clone + Send + Sync + 'static,
        WF: Future<Output = Option<(S, Speaks)>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Pieces>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut sockets = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let (wrap, handler) = (wrap.clone(), handler.clone());
                sockets.spawn(async move {
                    if let Some((stream, speaks)) = wrap(stream).await {
                        serve(stream, speaks, handler).await;
                    }
                });
            }
        });
        Self { address, connections, _tasks: tasks }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections have been accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve<S, H, F>(stream: S, speaks: Speaks, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Pieces>> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let (head, body) = request.into_parts();
            let Ok(body) = body.collect().await else {
                // The request was cut short: no client waits for an answer.
                return std::future::pending().await;
            };
            let request = Request::from_parts(head, body.to_bytes());
            Ok::<_, Infallible>(handler(request).await)
        }
    });
    let io = TokioIo::new(stream);
    // An error here is the peer's going, which is what some tests are about.
    let _ = match speaks {
        Speaks::Http1 => {
            let http = hyper::server::conn::http1::Builder::new();
            http.serve_connection(io, service).await
        }
        Speaks::Http2 => {
            let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            http.serve_connection(io, service).await
        }
    };
}
