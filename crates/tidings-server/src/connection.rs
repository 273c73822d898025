//! One connection, from its first byte to its last.
//!
//! A connection ends in one of these ways: its peer is done with it; it is idle, or slow to send a
//! head, for too long; the server leaves; or an event stream takes its socket away (see
//! [`handoff`](crate::handoff)).

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Method, Request, Version};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, timeout};

use crate::activity::{Activity, Doing};
use crate::answer::{Answer, Body, Response};
use crate::config::Config;
use crate::handoff::Slot;
use crate::limits::{
    CONNECTION_WINDOW_BYTES, HEAD_BYTES_MAX, LINGER_MAX, PING_INTERVAL, PING_TIMEOUT,
    READ_BYTES_MAX, STREAM_SEND_BYTES_MAX, STREAM_WINDOW_BYTES,
};
use crate::problem::{Code, PROBLEM_JSON, Problem};
use crate::routes;
use crate::server::Shared;
use crate::socket::Socket;
use crate::state::{Stage, State};

/// How the two versions of HTTP are spoken.
pub(crate) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    pub(crate) fn new(config: &Config, takes_sockets: bool) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            // Ours tells a slow head from an idle connection.
            .header_read_timeout(None)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(READ_BYTES_MAX)
            // A client may end its side once it has sent its request. But the library sees a
            // subscriber go only by the same sign.
            .half_close(takes_sockets);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.streams_max)
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .max_send_buf_size(STREAM_SEND_BYTES_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        Self { http1, http2 }
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(stream: TcpStream, shared: Shared) {
    let config = &shared.state.config;
    let gone = shared.state.reached(Stage::Leaving);
    let version = tokio::select! {
        version = timeout(config.head_max, speaks_http2(&stream)) => version,
        () = gone => return,
    };
    match version {
        Ok(Ok(false)) => http1(stream, &shared).await,
        Ok(Ok(true)) => http2(stream, &shared).await,
        // Nothing useful was said.
        Ok(Err(_)) | Err(_) => {}
    }
}

/// Whether the connection begins like HTTP/2 with prior knowledge (RFC 9113 §3.3). Takes no bytes
/// from it.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    /// No method begins so.
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
        // Seldom: so few bytes in a packet. There is no way to wait for more than what is there.
        tokio::time::sleep(PEEK_PAUSE).await;
    }
}

const PEEK_PAUSE: Duration = Duration::from_millis(10);

/// Why a connection is no longer served here.
enum End {
    /// Both sides are done with it, or it broke.
    Done,
    /// A request head took too long.
    SlowHead,
    /// No request came for too long, or the server is gone.
    Closed,
    /// An event stream is to be written to its socket.
    Taken,
}

async fn http1(stream: TcpStream, shared: &Shared) {
    let activity = Activity::new();
    let slot = Slot::new();
    let service = Service::new(shared, &activity, Some(Arc::clone(&slot)));
    let io = TokioIo::new(Socket::new(stream, Arc::clone(&activity)));
    let mut connection = shared.protocols.http1.serve_connection(io, service);

    let state = &*shared.state;
    let mut leaving = pin!(state.reached(Stage::Leaving));
    let mut gone = pin!(state.reached(Stage::Gone));
    let mut watch = pin!(Watch::new(&activity, &state.config));
    let mut left = false;
    let end = std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.poll_without_shutdown(cx) {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection ended early");
                }
                return Poll::Ready(End::Done);
            }
            // An earlier answer that waits in the library's buffer must go out first.
            if slot.is_filled() && !activity.write_waits() {
                return Poll::Ready(End::Taken);
            }
            if !left && leaving.as_mut().poll(cx).is_ready() {
                left = true;
                Pin::new(&mut connection).graceful_shutdown();
                continue;
            }
            if left && gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
            return watch.as_mut().poll(cx);
        }
    })
    .await;

    let socket = connection.into_parts().io.into_inner();
    match end {
        End::Taken => slot.hand_over(&state.engine, socket.into_stream()),
        End::SlowHead => {
            let mut stream = socket.into_stream();
            let _ = stream.write_all(&slow_head()).await;
            Box::pin(linger(stream)).await;
        }
        End::Done if activity.may_be_sending() => Box::pin(linger(socket.into_stream())).await,
        End::Done | End::Closed => {}
    }
}

async fn http2(stream: TcpStream, shared: &Shared) {
    let activity = Activity::new();
    let service = Service::new(shared, &activity, None);
    let io = TokioIo::new(Socket::new(stream, Arc::clone(&activity)));
    let mut connection = pin!(shared.protocols.http2.serve_connection(io, service));

    let state = &*shared.state;
    let mut leaving = pin!(state.reached(Stage::Leaving));
    let mut gone = pin!(state.reached(Stage::Gone));
    let mut watch = pin!(Watch::new(&activity, &state.config));
    let mut left = false;
    std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection ended early");
                }
                return Poll::Ready(());
            }
            if !left && leaving.as_mut().poll(cx).is_ready() {
                left = true;
                connection.as_mut().graceful_shutdown();
                continue;
            }
            if left && gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            match watch.as_mut().poll(cx) {
                Poll::Ready(_) if left => return Poll::Ready(()),
                Poll::Ready(_) => {
                    // Says goodbye; if the peer does not even take that, the next time is the last.
                    left = true;
                    connection.as_mut().graceful_shutdown();
                    watch.as_mut().rearm();
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

/// Looks at a connection from time to time.
struct Watch<'a> {
    activity: &'a Activity,
    head_max: Duration,
    keep_alive: Duration,
    timer: Pin<Box<Sleep>>,
}

impl<'a> Watch<'a> {
    fn new(activity: &'a Activity, config: &Config) -> Self {
        Self {
            activity,
            head_max: config.head_max,
            keep_alive: config.keep_alive,
            timer: Box::pin(tokio::time::sleep(config.head_max)),
        }
    }

    fn rearm(self: Pin<&mut Self>) {
        let this = self.get_mut();
        this.timer.as_mut().reset(Instant::now() + this.head_max);
    }

    /// Ready when the connection has been idle, or slow, for too long.
    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<End> {
        let this = self.get_mut();
        while this.timer.as_mut().poll(cx).is_ready() {
            // Never further than a head may take: that one may begin right after we have looked.
            let next = match this.activity.doing() {
                Doing::Head(length) if length >= this.head_max => {
                    return Poll::Ready(End::SlowHead);
                }
                Doing::Idle(length) if length >= this.keep_alive => {
                    return Poll::Ready(End::Closed);
                }
                Doing::Head(length) => this.head_max - length,
                Doing::Idle(length) => this.head_max.min(this.keep_alive - length),
                Doing::Request => this.head_max,
            };
            this.timer.as_mut().reset(Instant::now() + next + TIMER_GRAIN);
        }
        Poll::Pending
    }
}

/// Timers have a grain of a millisecond; one that comes too early would be set for nothing again.
const TIMER_GRAIN: Duration = Duration::from_millis(2);

/// The answer to a head that does not end. It is written by hand, for the library has seen no
/// request.
fn slow_head() -> Vec<u8> {
    let problem = Problem::new(Code::RequestTimeout, "send the head of a request at once");
    let json = problem.to_json();
    let head = format!(
        "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: {PROBLEM_JSON}\r\n\
         content-length: {}\r\n\r\n{json}",
        json.len()
    );
    head.into_bytes()
}

/// Ends our side and reads what still comes for a while. A socket closed with bytes unread is
/// reset, and a reset takes the answer with it that the peer has yet to read.
async fn linger(mut stream: TcpStream) {
    let read_to_end = async {
        stream.shutdown().await?;
        let mut waste = vec![0; 16 << 10];
        while stream.read(&mut waste).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(LINGER_MAX, read_to_end).await;
}

/// Answers the requests of one connection.
struct Service(Arc<Connection>);

/// What the requests of one connection share.
struct Connection {
    state: Arc<State>,
    activity: Arc<Activity>,
    /// Where an event stream asks for the socket; without it, streams are bodies.
    slot: Option<Arc<Slot>>,
}

impl Service {
    fn new(shared: &Shared, activity: &Arc<Activity>, slot: Option<Arc<Slot>>) -> Self {
        let direct = shared.state.engine.takes_sockets();
        Self(Arc::new(Connection {
            state: Arc::clone(&shared.state),
            activity: Arc::clone(activity),
            slot: slot.filter(|_| direct),
        }))
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let connection = Arc::clone(&self.0);
        Box::pin(async move { Ok(connection.respond(request).await) })
    }
}

impl Connection {
    async fn respond(&self, request: Request<Incoming>) -> Response {
        let busy = self.activity.begin();
        let version = request.version();
        let is_get = request.method() == Method::GET;
        let has_body = !request.body().is_end_stream();
        let connection_option = crate::answer::connection_option(version, request.headers());
        let mut stream = match routes::answer(&self.state, request).await {
            Answer::Response(response) => {
                // Who is refused may not have been heard out, and nobody listens to the body of a
                // GET.
                if has_body && (is_get || !response.status().is_success()) {
                    self.activity.note_unread();
                }
                return response.map(|body| body.holding(busy));
            }
            Answer::Stream(stream) => stream,
        };
        if let Some(option) = connection_option {
            stream.headers.insert(http::header::CONNECTION, option);
        }
        match &self.slot {
            // HTTP/1.0 knows no chunks.
            Some(slot) if version == Version::HTTP_11 => {
                slot.fill(stream);
                std::future::pending().await
            }
            _ => {
                let stream = *stream;
                let body = self.state.engine.attach_body(stream.opening, stream.attachment);
                let mut response = http::Response::new(Body::stream(body).holding(busy));
                *response.headers_mut() = stream.headers;
                response
            }
        }
    }
}
