//! One connection, from its first byte to its last.
//!
//! A connection ends in one of these ways: its peer closes it; it is idle, or slow to send a
//! request head, for too long; the server shuts down; or an event stream takes its socket over (see
//! [`handoff`](crate::handoff)).

mod end;
mod http1;
pub(crate) mod short;
mod signals;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ServerConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use crate::accepted::{Accepted, ListenerKind};
use crate::activity::Activity;
use crate::counts::Protocol;
use crate::limits::{FIRST_WORD_MAX, LINGER_MAX, TLS_SEND_BYTES_MAX};
use crate::movable::Movable;
use crate::problem::{PROBLEM_JSON, Problem};
use crate::redirect;
use crate::service::Service;
use crate::shared::Shared;
use crate::socket::{Socket, Transport};
use crate::stage::Stage;
use crate::tls::HTTP2;
use crate::tls::challenges::{self, Challenges};
use http1::http1;
use signals::{Signal, Signals};

/// A connection that speaks HTTP.
enum Heard {
    Http1(Line),
    Http2(Line),
}

/// What it speaks over.
enum Line {
    Plain(TcpStream),
    Tls(Box<TlsStream<Movable>>),
}

/// Serves a connection to its end, HTTP/1.1 on a thread for requests if there is one.
///
/// What it takes to find out the protocol is larger than what a stream needs for hours, and a task
/// is as large as its largest state. So each part is on the heap, and the first one is freed before
/// the second begins.
pub(crate) async fn serve(
    stream: TcpStream,
    mut accepted: Accepted,
    kind: ListenerKind,
    shared: Shared,
) {
    let heard = match kind {
        ListenerKind::Plain => Box::pin(plain(stream, &shared)).await,
        ListenerKind::Redirect { port } => {
            accepted.redirect = Some(port);
            Box::pin(plain(stream, &shared)).await
        }
        ListenerKind::Tls(acceptor) => {
            accepted.is_secure = true;
            Box::pin(over_tls(stream, acceptor, &shared)).await
        }
    };
    match heard {
        None => {}
        Some(Heard::Http1(line)) => {
            let threads = shared.threads.clone();
            let place = match &threads {
                Some(threads) => Box::pin(threads.place()).await,
                None => None,
            };
            match place {
                Some(place) => place.spawn(async move {
                    match line.move_here() {
                        Ok(line) => line.http1(&shared, accepted).await,
                        Err(error) => tracing::warn!(%error, "a connection cannot be served"),
                    }
                }),
                None => line.http1(&shared, accepted).await,
            }
        }
        Some(Heard::Http2(line)) => line.http2(&shared, accepted).await,
    }
}

impl Line {
    fn move_here(self) -> io::Result<Self> {
        match self {
            Self::Plain(stream) => stream.move_here().map(Self::Plain),
            Self::Tls(stream) => stream.move_here().map(Self::Tls),
        }
    }

    /// On the heap, as it is what remains.
    fn http1(self, shared: &Shared, accepted: Accepted) -> Served<'_> {
        match self {
            Self::Plain(stream) => Box::pin(http1(stream, shared, accepted)),
            Self::Tls(stream) => Box::pin(http1(stream, shared, accepted)),
        }
    }

    fn http2(self, shared: &Shared, accepted: Accepted) -> Served<'_> {
        match self {
            Self::Plain(stream) => Box::pin(http2(stream, shared, accepted)),
            Self::Tls(stream) => Box::pin(http2(stream, shared, accepted)),
        }
    }
}

/// A connection that speaks HTTP, served to its end.
type Served<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

async fn plain(stream: TcpStream, shared: &Shared) -> Option<Heard> {
    let config = shared.state.config();
    let leaving = left_unheard(shared);
    let version = tokio::select! {
        version = timeout(config.head_time_max, speaks_http2(&stream)) => version,
        () = leaving => return None,
    };
    match version {
        Ok(Ok(false)) => Some(Heard::Http1(Line::Plain(stream))),
        Ok(Ok(true)) => Some(Heard::Http2(Line::Plain(stream))),
        // The peer said nothing, or left.
        Ok(Err(_)) | Err(_) => None,
    }
}

/// Ready once the server is shutting down and a new connection has had time for its first bytes:
/// its request may have been on the way when the connection was accepted, and would otherwise be
/// lost.
async fn left_unheard(shared: &Shared) {
    shared.state.reached(Stage::Leaving).await;
    tokio::time::sleep(FIRST_WORD_MAX).await;
}

async fn over_tls(stream: TcpStream, acceptor: TlsAcceptor, shared: &Shared) -> Option<Heard> {
    let config = shared.state.config();
    let leaving = left_unheard(shared);
    let handshake = async {
        if speaks_http(&stream).await? {
            return Ok(Err(stream));
        }
        match config.tls.as_ref().and_then(|tls| tls.challenges()) {
            // Rare and larger, so on the heap.
            Some(challenges) => Box::pin(accept(stream, acceptor, challenges)).await.map(Ok),
            None => acceptor.accept_with(Movable::new(stream), limit_sealed).await.map(Ok),
        }
    };
    let shaken = tokio::select! {
        shaken = timeout(config.head_time_max, handshake) => shaken,
        () = leaving => return None,
    };
    match shaken {
        Ok(Ok(Ok(stream))) if stream.get_ref().1.alpn_protocol() == Some(HTTP2) => {
            return Some(Heard::Http2(Line::Tls(Box::new(stream))));
        }
        Ok(Ok(Ok(stream))) => return Some(Heard::Http1(Line::Tls(Box::new(stream)))),
        Ok(Ok(Err(stream))) => {
            Box::pin(refuse(stream, "400 Bad Request", &redirect::tls_required())).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake timed out"),
    }
    None
}

/// Accepts a connection on which the authority that issues certificates may be the client. It gets
/// nothing but a handshake (RFC 8737 §3), so with it this ends in an error.
async fn accept(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    challenges: &Arc<dyn Challenges>,
) -> io::Result<TlsStream<Movable>> {
    let stream = Movable::new(stream);
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    let hello = start.client_hello();
    if !challenges::is_challenge(&hello) {
        let config = Arc::clone(acceptor.config());
        return start.into_stream_with(config, limit_sealed).await;
    }
    let config = challenges::handshake(challenges, hello.server_name()).await;
    let config = config.ok_or_else(|| io::Error::other("no challenge is under way for it"))?;
    let mut stream = start.into_stream(config).await?;
    let _ = stream.shutdown().await;
    tracing::debug!("a challenge was answered");
    Err(io::Error::other("it was a challenge, and has its answer"))
}

fn limit_sealed(tls: &mut ServerConnection) {
    tls.set_buffer_limit(Some(TLS_SEND_BYTES_MAX));
}

/// Whether the connection begins with a letter, as a request does in the clear and a handshake
/// never (RFC 8446 §5.1). Takes no bytes from it.
async fn speaks_http(stream: &TcpStream) -> io::Result<bool> {
    let mut begin = [0];
    match stream.peek(&mut begin).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(begin[0].is_ascii_alphabetic()),
    }
}

/// Whether the connection begins like HTTP/2 with prior knowledge (RFC 9113 §3.3). Takes no bytes
/// from it.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    /// No HTTP/1.1 method begins with these bytes.
    const PREFACE: &[u8] = b"PRI ";
    let mut begin = [0; PREFACE.len()];
    loop {
        let length = stream.peek(&mut begin).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if begin[..length] != PREFACE[..length] {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        // Packets this short are rare. Nothing wakes a task when more bytes than these are there.
        tokio::time::sleep(PEEK_PAUSE).await;
    }
}

const PEEK_PAUSE: Duration = Duration::from_millis(10);

/// Not an `async fn`: its future would keep room for `stream` beside the connection that has it.
fn http2<T: Transport>(
    stream: T,
    shared: &Shared,
    accepted: Accepted,
) -> impl Future<Output = ()> + Send + '_ {
    let speaking = shared.state.counts().connection(Protocol::Http2);
    let activity = Activity::new();
    let service = Service::new(shared, &activity, None, &accepted);
    let io = TokioIo::new(Socket::for_http2(stream, Arc::clone(&activity)));
    let mut connection = Box::pin(shared.protocols.http2.serve_connection(io, service));

    async move {
        let state = &*shared.state;
        let mut signals = Signals::new(state, &activity);
        let mut left = false;
        std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                    if let Err(error) = result {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return Poll::Ready(());
                }
                match std::task::ready!(signals.poll(cx)) {
                    Signal::Leaving if left => {}
                    Signal::SlowHead | Signal::Idle if left => return Poll::Ready(()),
                    Signal::Gone => return Poll::Ready(()),
                    signal => {
                        left = true;
                        connection.as_mut().graceful_shutdown();
                        signals.await_gone();
                        // The peer gets a GOAWAY, and another period to take it.
                        if signal != Signal::Leaving {
                            signals.await_time();
                        }
                    }
                }
            }
        })
        .await;
        // Places in counts, held to the end.
        drop((speaking, accepted));
    }
}

/// Answers a connection on which no complete request was read. The HTTP library knows of none, so
/// the response is written by hand.
async fn refuse<T: Transport>(mut stream: T, status: &str, problem: &Problem) {
    let json = problem.to_json();
    let answer = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {PROBLEM_JSON}\r\n\
         x-content-type-options: nosniff\r\n\
         content-length: {}\r\n\r\n{json}",
        json.len()
    );
    tracing::debug!(code = problem.code().name(), detail = problem.detail(), "connection rejected");
    let _ = timeout(LINGER_MAX, stream.write_all(answer.as_bytes())).await;
    linger(stream, LINGER_MAX).await;
}

/// Closes our direction and discards what still arrives for this time. Closing a socket with unread
/// bytes resets it, and a reset would take with it an answer that the peer has not read yet.
async fn linger<T: Transport>(mut stream: T, time: Duration) {
    let read_to_end = async {
        stream.shutdown().await?;
        let mut waste = vec![0; 16 << 10];
        while stream.read(&mut waste).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(time, read_to_end).await;
}
