//! Where a subscriber's frames leave the house.

mod body;
mod socket;

use std::time::Duration;

use tidings_hub::CloseReason;

pub(crate) use body::BodyPipe;
pub use body::{BrokenOff, SubscriberBody};
pub(crate) use socket::SocketSink;

/// One way out.
pub(crate) enum Sink {
    /// An HTTP/1.1 connection that was taken back from the HTTP library.
    Socket(SocketSink),
    /// A response body that the HTTP library asks for bytes.
    Body(BodyPipe),
}

impl Sink {
    /// Takes as many of `bytes` as there is room for now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, CloseReason> {
        match self {
            Self::Socket(socket) => socket.write(bytes),
            Self::Body(body) => body.write(bytes),
        }
    }

    /// Ends the stream: says `farewell` if that is possible at once. Without one the stream breaks off.
    pub(crate) fn finish(self, farewell: Option<&[u8]>) {
        match self {
            Self::Socket(socket) => socket.finish(farewell),
            Self::Body(body) => body.finish(farewell),
        }
    }

    /// Looks whether the peer has been gone for `patience`. Bodies cannot know; their connection's own
    /// keep-alive does.
    pub(crate) fn has_vanished(&self, patience: Duration) -> bool {
        match self {
            Self::Socket(socket) => socket.has_vanished(patience),
            Self::Body(_) => false,
        }
    }
}
