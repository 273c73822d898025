//! From a parsed subscribe request to a subscriber of the engine: the socket is taken back from the
//! HTTP library.
//!
//! # How
//!
//! The library parses the request, so there is only one HTTP parser to trust, and every check of a
//! request (limits, access, CORS) applies here too. When the handler has an event stream to give,
//! it puts it into the connection's [`Slot`] and never answers. The task that drives the connection
//! looks into the slot after every turn, and when it is filled takes the connection apart, drops
//! the library's half, and gives the socket and the response's head to the engine. From then on a
//! shard writes the socket: no task, no waker, no HTTP buffers.
//!
//! # Why nothing is lost
//!
//! An earlier answer on the same connection may still wait in the library's write buffer if the
//! socket did not accept all of it. The current library reads no further request before that is
//! sent, but does not promise so. In any case it flushes at the end of every turn: the buffer is
//! empty unless the last write was incomplete. That is recorded, and then the socket is left with
//! the library for another turn.
//!
//! Bytes that the client sent after its request are dropped with the library's read buffer: an
//! event stream has no end after which a next answer could come.
//!
//! Under TLS the same happens one layer up: the engine gets the socket with the TLS connection,
//! including records that are encrypted and not sent. It sends these first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidings_engine::Engine;

use crate::accepted::Accepted;
use crate::socket::{Transport, Wire};
use crate::stream::Stream;

/// Where an event stream waits for the socket of its connection.
pub(crate) struct Slot {
    filled: AtomicBool,
    stream: Mutex<Option<Box<Stream>>>,
}

impl Slot {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { filled: AtomicBool::new(false), stream: Mutex::new(None) })
    }

    /// Asks for the socket.
    pub(crate) fn fill(&self, stream: Box<Stream>) {
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
        self.filled.store(true, Ordering::Release);
    }

    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    /// Hands the socket to the engine, with the guard that counts the connection.
    pub(crate) fn hand_over(
        &self,
        engine: &Engine,
        socket: impl Transport,
        accepted: &mut Accepted,
    ) {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(stream) = stream else { return };
        let head = stream.http1_head();
        // The place among the arrivals is left when a worker has the subscriber.
        let Stream { mut pending, options, identity, term, arrival: _arrival, .. } = *stream;
        pending.hold(accepted.permit.take());
        if term.is_some() || !identity.is_only(accepted.peer) {
            pending.set_label(identity.into_label(term));
        }
        match socket.into_wire() {
            Ok(Wire::Plain(socket)) => engine.attach_socket(pending, options, head, socket),
            Ok(Wire::Tls(socket, tls)) => {
                engine.attach_tls_socket(pending, options, head, socket, tls);
            }
            Err(error) => tracing::warn!(%error, "cannot hand over a socket"),
        }
    }
}
