//! A world for an event source: a server that follows a script, and a clock that moves only while
//! all tasks sleep.

#![allow(dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tidings_client::{
    Backoff, Body, EventSource, EventSourceBuilder, Item, SendFuture, Transport, TransportError,
};
use tokio::time::Sleep;

/// One answer of the server.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    steps: VecDeque<Step>,
    delay: Duration,
    refuse_connection: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Send(Bytes),
    Wait(Duration),
    Break,
    Hang,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            steps: VecDeque::new(),
            delay: Duration::ZERO,
            refuse_connection: false,
        }
    }

    /// 200 and the right content type.
    pub fn stream(body: impl AsRef<[u8]>) -> Self {
        Self::status(200).header("content-type", "text/event-stream").send(body)
    }

    /// The same, in pieces of this many bytes.
    pub fn stream_in_pieces(body: impl AsRef<[u8]>, size: usize) -> Self {
        let empty = Self::stream("");
        body.as_ref().chunks(size).fold(empty, Self::send)
    }

    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("location", location)
    }

    pub fn no_connection() -> Self {
        Self { refuse_connection: true, ..Self::status(200) }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = Bytes::copy_from_slice(bytes.as_ref());
        self.steps.push_back(Step::Send(bytes));
        self
    }

    pub fn wait(mut self, time: Duration) -> Self {
        self.steps.push_back(Step::Wait(time));
        self
    }

    /// The body breaks off here.
    pub fn breaks(mut self) -> Self {
        self.steps.push_back(Step::Break);
        self
    }

    /// The body stays open for ever.
    pub fn hangs(mut self) -> Self {
        self.steps.push_back(Step::Hang);
        self
    }

    /// The head comes this much later.
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Since the world began.
    pub at: Duration,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name).map(|value| value.as_bytes())
    }
}

/// The server. When its script is at an end it answers 204, which ends every source.
#[derive(Clone)]
pub struct Server(Arc<Mutex<State>>);

struct State {
    answers: VecDeque<Answer>,
    seen: Vec<Seen>,
    open: usize,
    began: tokio::time::Instant,
}

impl Server {
    pub fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(Arc::new(Mutex::new(State {
            answers: answers.into_iter().collect(),
            seen: Vec::new(),
            open: 0,
            began: tokio::time::Instant::now(),
        })))
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }

    /// How many bodies are being read.
    pub fn open(&self) -> usize {
        self.0.lock().unwrap().open
    }

    /// A source with predictable waits: no jitter.
    pub fn source(&self) -> EventSourceBuilder {
        self.source_at("http://server/events")
    }

    pub fn source_at(&self, url: &str) -> EventSourceBuilder {
        EventSource::builder(url)
            .transport(self.clone())
            .retry_policy(Backoff::new().jitter(0.0).floor(Duration::ZERO))
    }
}

impl Transport for Server {
    fn send(&self, request: Request<Body>) -> SendFuture {
        let server = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let answer = {
                let mut state = server.0.lock().unwrap();
                let at = state.began.elapsed();
                state.seen.push(Seen {
                    method: head.method,
                    url: head.uri.to_string(),
                    headers: head.headers,
                    body,
                    at,
                });
                state.answers.pop_front()
            };
            let answer = answer.unwrap_or_else(|| Answer::status(204));
            tokio::time::sleep(answer.delay).await;
            if answer.refuse_connection {
                return Err(TransportError::connect("refused by the script"));
            }
            let mut response = Response::builder().status(answer.status);
            for (name, value) in answer.headers {
                response = response.header(name, value.as_bytes());
            }
            server.0.lock().unwrap().open += 1;
            let body = ScriptedBody { steps: answer.steps, sleep: None, server };
            Ok(response.body(Body::stream(body)).unwrap())
        })
    }
}

struct ScriptedBody {
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
    server: Server,
}

impl http_body::Body for ScriptedBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                std::task::ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Send(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Step::Wait(time)) => self.sleep = Some(Box::pin(tokio::time::sleep(time))),
                Some(Step::Break) => {
                    let error = TransportError::exchange("broken by the script");
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Step::Hang) => {
                    self.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Drop for ScriptedBody {
    fn drop(&mut self) {
        self.server.0.lock().unwrap().open -= 1;
    }
}

/// Runs a scenario in which time passes only while everyone sleeps.
pub fn run<T>(scenario: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(scenario)
}

/// An item in one line, for comparison.
pub fn line(item: &Item) -> String {
    match item {
        Item::Open(_) => "open".to_owned(),
        Item::Event(event) => {
            let id = event.last_event_id().map_or("", |id| id.as_str());
            let id = if id.is_empty() { String::new() } else { format!(" #{id}") };
            format!("{}{id}: {}", event.event_type(), event.data())
        }
        Item::Comment(text) => format!("comment: {text}"),
        Item::Skipped(_) => "skipped".to_owned(),
        Item::Reconnecting(lost) => {
            format!("again in {} ms: {}", lost.wait.as_millis(), lost.cause)
        }
        _ => unreachable!("all items are known here"),
    }
}

/// All items of a source, to its end.
pub async fn all(source: &mut EventSource) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(item) = source.next().await {
        match item {
            Ok(item) => lines.push(line(&item)),
            Err(error) => lines.push(format!("over: {error}")),
        }
    }
    lines
}

/// The next item of a source.
pub async fn next(source: &mut EventSource) -> String {
    match source.next().await {
        Some(Ok(item)) => line(&item),
        Some(Err(error)) => format!("over: {error}"),
        None => "end".to_owned(),
    }
}

/// All items of a source when the server sends these streams, one per connection, then 204.
pub fn transcript(streams: &[&str]) -> Vec<String> {
    run(async {
        let server = Server::new(streams.iter().map(Answer::stream));
        all(&mut server.source().open().unwrap()).await
    })
}

/// The events in one stream; the same, whatever pieces it arrives in.
pub fn events(stream: impl AsRef<[u8]>) -> Vec<String> {
    let stream = stream.as_ref();
    let in_pieces = |size: usize| {
        run(async {
            let server = Server::new([Answer::stream_in_pieces(stream, size)]);
            let mut source = server.source().one_shot().open().unwrap();
            let mut lines = Vec::new();
            while let Some(event) = source.next_event().await {
                let event = event.unwrap();
                lines.push(line(&Item::Event(event)));
            }
            lines
        })
    };
    let whole = in_pieces(stream.len().max(1));
    for size in [1, 2, 3, 7] {
        assert_eq!(in_pieces(size), whole, "in pieces of {size} bytes");
    }
    whole
}
