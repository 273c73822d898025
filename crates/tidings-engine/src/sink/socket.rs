use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use tidings_hub::{CloseReason, Farewell};

use super::Heard;
use crate::limits::{PEER_BYTES_MAX, UNSENT_BYTES_MAX};
use crate::sys;

/// An adopted HTTP/1.1 connection, written directly.
pub(crate) struct SocketSink {
    socket: TcpStream,
    /// What the peer has sent since its request, which should be nothing.
    received: u32,
    /// The peer has sent its last byte.
    ended: bool,
}

impl SocketSink {
    /// Makes `socket` ready to be written by a worker.
    pub(crate) fn new(socket: TcpStream) -> io::Result<Self> {
        sys::prepare(&socket, UNSENT_BYTES_MAX)?;
        Ok(Self { socket, received: 0, ended: false })
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, CloseReason> {
        loop {
            match self.socket.write(bytes) {
                Ok(written) => return Ok(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(self.broken()),
            }
        }
    }

    /// Reads what the peer sent, and discards it: a subscriber has nothing more to send. A peer
    /// that has ended its sending side may still listen.
    pub(crate) fn drain(&mut self) -> Result<Heard, CloseReason> {
        let mut scratch = [0; 4096];
        loop {
            match self.socket.read(&mut scratch) {
                Ok(0) => {
                    let known = std::mem::replace(&mut self.ended, true);
                    return Ok(if known { Heard::Nothing } else { Heard::End });
                }
                Ok(n) => {
                    self.received = self.received.saturating_add(n as u32);
                    if self.received > PEER_BYTES_MAX {
                        return Err(CloseReason::PeerReset);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Heard::Nothing),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(self.broken()),
            }
        }
    }

    /// A peer that closes its connection first ends its sending side, and then answers writes with
    /// a reset; that still counts as its own close.
    pub(crate) fn broken(&self) -> CloseReason {
        if self.ended { CloseReason::PeerClosed } else { CloseReason::PeerReset }
    }

    pub(crate) fn finish(mut self, farewell: Option<&Farewell>) {
        if let Some(farewell) = farewell {
            // What does not fit at once is lost: the peer sees a broken stream and comes back.
            let _ = self.write(&farewell.bytes);
            let _ = self.socket.shutdown(Shutdown::Write);
        }
    }

    pub(crate) fn has_vanished(&self, patience: Duration) -> bool {
        sys::has_vanished(&self.socket, patience).unwrap_or(false)
    }
}
