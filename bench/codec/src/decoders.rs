//! Every decoder behind one signature: all chunks in, the answer out.
//!
//! Each is used in its fastest way. Those that exist only as a `Stream` are polled without a
//! runtime, over chunks that are always ready. All get their chunks as `Bytes`, each cloned as if
//! it had just arrived.

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use futures_core::Stream;
use tidings_codec::{Decoder, Item};

use crate::workloads::Answer;

/// Decodes all chunks. `None` if it gave up at the deadline.
pub(crate) type Run = fn(&[Bytes], Instant) -> Option<Answer>;

pub(crate) const ALL: [(&str, Run); 6] = [
    ("tidings-codec, lent", tidings_lent),
    ("tidings-codec, owned", tidings_owned),
    ("sse-core 0.2.3", sse_core),
    ("sse-stream 0.3.0", sse_stream),
    ("sseer 0.3.1", sseer),
    ("eventsource-stream 0.2.3", eventsource_stream),
];

/// Cuts a stream; all chunks share one allocation.
pub(crate) fn cut(wire: Vec<u8>, chunk: usize) -> Vec<Bytes> {
    let wire = Bytes::from(wire);
    (0..wire.len())
        .step_by(chunk)
        .map(|start| wire.slice(start..wire.len().min(start + chunk)))
        .collect()
}

fn tidings_lent(chunks: &[Bytes], deadline: Instant) -> Option<Answer> {
    let mut decoder = Decoder::new();
    let mut answer = Answer::default();
    for chunk in Timed::new(chunks, deadline) {
        let chunk = chunk?;
        let mut input = &chunk[..];
        while let Some(item) = decoder.next(&mut input).expect("no event is too large") {
            if let Item::Event(event) = item {
                answer.add(black_box(event.data()));
            }
        }
    }
    Some(answer)
}

fn tidings_owned(chunks: &[Bytes], deadline: Instant) -> Option<Answer> {
    let mut decoder = Decoder::new();
    let mut answer = Answer::default();
    for chunk in Timed::new(chunks, deadline) {
        let chunk = chunk?;
        let mut input = &chunk[..];
        while let Some(item) = decoder.next(&mut input).expect("no event is too large") {
            if let Item::Event(event) = item {
                answer.add(black_box(&event.to_owned().data));
            }
        }
    }
    Some(answer)
}

fn sse_core(chunks: &[Bytes], deadline: Instant) -> Option<Answer> {
    let limit = std::num::NonZeroUsize::new(16 * 1024 * 1024).expect("not zero");
    let mut decoder = sse_core::SseDecoder::with_limit(limit);
    let mut answer = Answer::default();
    for chunk in Timed::new(chunks, deadline) {
        let mut chunk = chunk?;
        while let Some(item) = decoder.next(&mut chunk) {
            if let sse_core::SseEvent::Message(event) = item.expect("not too large") {
                answer.add(black_box(&event.data));
            }
        }
    }
    Some(answer)
}

fn sse_stream(chunks: &[Bytes], deadline: Instant) -> Option<Answer> {
    let stream = sse_stream::SseByteStream::new(Timed::new(chunks, deadline).stream());
    drain(stream, |answer, event: sse_stream::Sse| {
        if let Some(data) = &event.data {
            answer.add(black_box(data));
        }
    })
}

fn sseer(chunks: &[Bytes], deadline: Instant) -> Option<Answer> {
    let stream = sseer::event_stream::EventStream::new(Timed::new(chunks, deadline).stream());
    drain(stream, |answer, event: sseer::event::Event| answer.add(black_box(&event.data)))
}

fn eventsource_stream(chunks: &[Bytes], deadline: Instant) -> Option<Answer> {
    let stream = eventsource_stream::EventStream::new(Timed::new(chunks, deadline).stream());
    drain(stream, |answer, event: eventsource_stream::Event| answer.add(black_box(&event.data)))
}

/// Polls until the stream ends. `None` if it ended in an error, which only the deadline causes.
fn drain<E, T>(
    stream: impl Stream<Item = Result<T, E>>,
    count: impl Fn(&mut Answer, T),
) -> Option<Answer> {
    let mut stream = pin!(stream);
    let mut context = Context::from_waker(Waker::noop());
    let mut answer = Answer::default();
    loop {
        match stream.as_mut().poll_next(&mut context) {
            Poll::Ready(Some(Ok(event))) => count(&mut answer, event),
            Poll::Ready(Some(Err(_))) => return None,
            Poll::Ready(None) => return Some(answer),
            Poll::Pending => unreachable!("all chunks are ready"),
        }
    }
}

/// The chunks, with an occasional check of the clock.
struct Timed<'a> {
    chunks: std::slice::Iter<'a, Bytes>,
    until_look: u32,
    deadline: Instant,
}

/// Why there are no more chunks.
#[derive(Debug)]
struct Late;

impl std::fmt::Display for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("past the deadline")
    }
}

impl std::error::Error for Late {}

impl<'a> Timed<'a> {
    const LOOK_EVERY: u32 = 256;

    fn new(chunks: &'a [Bytes], deadline: Instant) -> Self {
        Self { chunks: chunks.iter(), until_look: Self::LOOK_EVERY, deadline }
    }

    fn stream(self) -> Ready<'a> {
        Ready(self)
    }
}

impl Iterator for Timed<'_> {
    type Item = Option<Bytes>;

    #[inline]
    fn next(&mut self) -> Option<Option<Bytes>> {
        let chunk = self.chunks.next()?.clone();
        self.until_look -= 1;
        if self.until_look == 0 {
            self.until_look = Self::LOOK_EVERY;
            if Instant::now() > self.deadline {
                return Some(None);
            }
        }
        Some(Some(chunk))
    }
}

/// The chunks as a stream that is always ready.
struct Ready<'a>(Timed<'a>);

impl Stream for Ready<'_> {
    type Item = Result<Bytes, Late>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(|chunk| chunk.ok_or(Late)))
    }
}
