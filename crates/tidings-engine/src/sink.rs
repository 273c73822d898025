//! Sinks, through which a subscriber's frames leave the process.

mod body;
mod last_bytes;
#[cfg(test)]
mod scripted;
mod socket;
mod tls;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tidings_hub::{CloseReason, Farewell, Framing, SubscriberId};

use crate::sys::{Event, SocketEvents};

pub(crate) use body::{BodyEvents, BodyPipe};
pub use body::{BrokenOff, SubscriberBody};
pub use last_bytes::LastBytes;
#[cfg(test)]
pub(crate) use scripted::{Peer, ScriptedSink};
pub(crate) use socket::SocketSink;
pub(crate) use tls::TlsSink;

/// The result of reading from a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing that matters.
    Nothing,
    /// Its end, for the first time. It may have closed only its sending side and still listen, or
    /// be gone: only a write to it will show which.
    End,
}

/// A subscriber's sink.
pub(crate) enum Sink {
    /// An HTTP/1.1 connection that was taken back from the HTTP library.
    Socket(SocketSink),
    /// The same, under TLS.
    Tls(TlsSink),
    /// A response body that the HTTP library asks for bytes.
    Body(BodyPipe),
    /// Whatever a test wants.
    #[cfg(test)]
    Scripted(ScriptedSink),
}

impl Sink {
    /// The framing of the bytes it takes.
    pub(crate) fn framing(&self) -> Framing {
        match self {
            Self::Socket(_) | Self::Tls(_) => Framing::Chunked,
            Self::Body(_) => Framing::Plain,
            #[cfg(test)]
            Self::Scripted(_) => Framing::Plain,
        }
    }

    /// Whether the worker writes the connection itself.
    pub(crate) fn is_direct(&self) -> bool {
        self.socket().is_some()
    }

    /// Address of the peer, which may be a proxy. Bodies do not know it.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.socket()?.peer_addr().ok()
    }

    /// The subscriber is attached as `id`: from now on its events are reported under that id.
    pub(crate) fn attached(
        &self,
        id: SubscriberId,
        poller: &impl SocketEvents,
    ) -> Result<(), CloseReason> {
        let listen = |socket: &TcpStream| {
            poller.add(socket, id.to_u64()).map_err(|_| CloseReason::PeerReset)
        };
        match self {
            Self::Socket(socket) => listen(socket.socket()),
            Self::Tls(socket) => listen(socket.socket()),
            Self::Body(body) => body.attached(id),
            #[cfg(test)]
            Self::Scripted(sink) => sink.attached(id),
        }
    }

    /// Reads and sends what `event` says can be; reports whether the peer has ended its side.
    pub(crate) fn handle_event(&mut self, event: Event) -> Result<Heard, CloseReason> {
        let heard = if event.readable { self.drain()? } else { Heard::Nothing };
        if event.broken {
            return Err(self.broken());
        }
        if event.writable {
            self.flush()?;
        }
        Ok(heard)
    }

    /// Takes as many of `bytes` as there is room for now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, CloseReason> {
        match self {
            Self::Socket(socket) => socket.write(bytes),
            Self::Tls(socket) => socket.write(bytes),
            Self::Body(body) => body.write(bytes),
            #[cfg(test)]
            Self::Scripted(sink) => sink.write(bytes),
        }
    }

    /// Sends bytes that were already taken, when there is room again.
    fn flush(&mut self) -> Result<(), CloseReason> {
        match self {
            Self::Tls(socket) => socket.flush().map(|_| ()),
            Self::Socket(_) | Self::Body(_) => Ok(()),
            #[cfg(test)]
            Self::Scripted(_) => Ok(()),
        }
    }

    /// Reads what the peer sent; reports when it has ended its side. Bodies learn of that in other
    /// ways.
    fn drain(&mut self) -> Result<Heard, CloseReason> {
        match self {
            Self::Socket(socket) => socket.drain(),
            Self::Tls(socket) => socket.drain(),
            Self::Body(_) => Ok(Heard::Nothing),
            #[cfg(test)]
            Self::Scripted(sink) => sink.drain(),
        }
    }

    /// The reason of a connection that can be neither read nor written.
    fn broken(&self) -> CloseReason {
        match self {
            Self::Socket(socket) => socket.broken(),
            Self::Tls(socket) => socket.broken(),
            Self::Body(_) => CloseReason::PeerClosed,
            #[cfg(test)]
            Self::Scripted(sink) => sink.broken(),
        }
    }

    /// Ends the stream: sends `farewell` if that is possible at once. Without one the stream is cut
    /// short.
    pub(crate) fn finish(self, farewell: Option<&Farewell>) {
        match self {
            Self::Socket(socket) => socket.finish(farewell),
            Self::Tls(socket) => socket.finish(farewell),
            Self::Body(body) => body.finish(farewell),
            #[cfg(test)]
            Self::Scripted(sink) => sink.finish(farewell),
        }
    }

    /// Whether the peer has been gone for `patience`. Bodies cannot know; they rely on their
    /// connection's keep-alive.
    pub(crate) fn has_vanished(&self, patience: Duration) -> bool {
        match self {
            Self::Socket(socket) => socket.has_vanished(patience),
            Self::Tls(socket) => socket.has_vanished(patience),
            Self::Body(_) => false,
            #[cfg(test)]
            Self::Scripted(sink) => sink.has_vanished(),
        }
    }

    fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Socket(socket) => Some(socket.socket()),
            Self::Tls(socket) => Some(socket.socket()),
            Self::Body(_) => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }
}
