//! Short requests of HTTP/1.1, which the hub reads and answers itself.
//!
//! # Why
//!
//! Most publishers send one small event after the other over a connection that stays open. The HTTP
//! library serves any request that there may be: it reads the body as a stream, from a task's other
//! half, and so is woken three times for each publish. Here a request that is there with its whole
//! body is handled and answered in one go, for a third of the instructions.
//!
//! # What is left to the library
//!
//! Everything else. [`request::read`] takes a request only if all of it is there, nothing comes
//! after it, and its length is said once, in digits. Its body may come right after its head, as
//! many clients send it. It uses the library's own parser. Whatever it does not take goes to the
//! library unread, and so does the rest of the connection. So there is one parser to trust, and
//! nothing that two parsers may read in two ways is read here.
//!
//! A response may also need the library: if it closes the connection, or if its body comes piece
//! by piece. Then the library reads the request once more, and gets the response that is there.
//!
//! Figures: `docs/decisions/0058-what-a-publish-pays-for.md`.

#[cfg(any(test, fuzzing))]
pub(crate) mod compared;
mod request;
mod response;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::end::End;
use super::signals::{Signal, Signals};
use crate::handoff::Slot;
use crate::limits::{FIRST_WORD_MAX, SHORT_BODY_WAIT_MAX, SHORT_REQUEST_BYTES_MAX};
use crate::response_body::Response;
use crate::service::{Responding, Service};
use crate::socket::Transport;
use request::Unread;

/// What comes after the short requests of a connection.
pub(super) enum Next {
    /// The HTTP library serves it.
    Library(Rest),
    /// It is over.
    End(End),
}

/// What the HTTP library goes on with.
pub(super) struct Rest {
    /// What was read and is not answered.
    pub(super) read: Bytes,
    /// The response to the request that this is, if there is one already.
    pub(super) answer: Option<Response>,
}

/// Serves the requests of a connection until one is not short.
pub(super) async fn serve<T: Transport>(
    stream: &mut T,
    service: &Service,
    slot: &Slot,
    signals: &mut Signals<'_>,
    head_bytes_max: usize,
) -> Next {
    let mut received = BytesMut::new();
    let mut to_write = Vec::new();
    let mut is_leaving = false;
    let mut is_new = true;
    loop {
        // The memory of the last request, once nothing holds it.
        received.reserve(SHORT_REQUEST_BYTES_MAX);
        let mut reading = pin!(stream.read_buf(&mut received));
        let mut count = signals.until(reading.as_mut()).await;
        if is_new && matches!(count, Err(Signal::Leaving)) {
            // Its first request may have been on the way when the connection was accepted.
            is_leaving = true;
            signals.await_gone();
            match timeout(FIRST_WORD_MAX, signals.until(reading)).await {
                Ok(first) => count = first,
                Err(_) => return Next::End(End::Closed),
            }
        }
        match count {
            Ok(Ok(0) | Err(_)) => return Next::End(End::Done),
            Ok(Ok(_)) => {}
            Err(_) => return Next::End(End::Closed),
        }
        let (read, request) = match whole(stream, &mut received, head_bytes_max).await {
            Ok(whole) => whole,
            Err(read) => return Next::Library(Rest { read, answer: None }),
        };

        let response = pin!(response(service.answer_whole(request), slot));
        let response = match to_the_end(response, signals, &mut is_leaving).await {
            Ok(Some(response)) => response,
            Ok(None) => return Next::End(End::Taken),
            Err(end) => return Next::End(end),
        };
        to_write.clear();
        if !response::write(&response, &mut to_write) {
            return Next::Library(Rest { read, answer: Some(response) });
        }
        drop(read);
        // The request is over: a peer that does not read its answer is idle.
        drop(response);

        let written = pin!(write(stream, &to_write));
        match to_the_end(written, signals, &mut is_leaving).await {
            Ok(Ok(())) if is_leaving => return Next::End(End::Closed),
            Ok(Ok(())) => is_new = false,
            Ok(Err(_)) => return Next::End(End::Done),
            Err(end) => return Next::End(end),
        }
    }
}

/// The request that begins with what was received, and its bytes, once all of it is there. An error
/// is what was received if it is not a short request, or its end does not come soon.
async fn whole<T: Transport>(
    stream: &mut T,
    received: &mut BytesMut,
    head_bytes_max: usize,
) -> Result<(Bytes, Request<Bytes>), Bytes> {
    let mut until = None;
    loop {
        let read = received.split().freeze();
        match request::read(&read, head_bytes_max) {
            Ok(request) => return Ok((read, request)),
            Err(Unread::Begun) => {}
            Err(Unread::Other) => return Err(read),
        }
        *received = BytesMut::with_capacity(SHORT_REQUEST_BYTES_MAX);
        received.extend_from_slice(&read);
        let until = *until.get_or_insert_with(|| Instant::now() + SHORT_BODY_WAIT_MAX);
        match timeout_at(until, stream.read_buf(received)).await {
            Ok(Ok(1..)) => {}
            // The library finds the same end.
            Ok(_) | Err(_) => return Err(received.split().freeze()),
        }
    }
}

/// What `work` comes to, which the server waits for when it ends, for some time.
async fn to_the_end<F: Future>(
    mut work: Pin<&mut F>,
    signals: &mut Signals<'_>,
    is_leaving: &mut bool,
) -> Result<F::Output, End> {
    loop {
        match signals.until(work.as_mut()).await {
            Ok(done) => return Ok(done),
            Err(Signal::Leaving) => {
                *is_leaving = true;
                signals.await_gone();
            }
            Err(_) => return Err(End::Closed),
        }
    }
}

/// The response; `None` if an event stream takes the socket instead.
async fn response(mut responding: Responding, slot: &Slot) -> Option<Response> {
    poll_fn(|cx| match Pin::new(&mut responding).poll(cx) {
        Poll::Ready(Ok(response)) => Poll::Ready(Some(response)),
        Poll::Pending if slot.is_filled() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

async fn write<T: Transport>(stream: &mut T, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    // Under TLS the records are written then.
    stream.flush().await
}

#[cfg(test)]
mod tests;
