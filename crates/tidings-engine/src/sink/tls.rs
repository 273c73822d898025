use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustls::{ProtocolVersion, ServerConnection};
use tidings_hub::{CloseReason, Farewell};

use super::Heard;
use crate::limits::{PEER_BYTES_MAX, SEALED_BYTES_MAX, UNSENT_BYTES_MAX};
use crate::sys;

/// An adopted HTTP/1.1 connection under TLS, sealed and written directly.
///
/// Bytes count as taken once they are sealed: a record that did not fit into the socket waits in
/// the TLS connection, and nothing more is taken before it is out. So a stalled peer costs at most
/// [`SEALED_BYTES_MAX`] more than an unencrypted one.
pub(crate) struct TlsSink(Box<Parts>);

/// Behind one pointer, so that the sinks of plain connections do not carry its size.
struct Parts {
    socket: TcpStream,
    tls: ServerConnection,
    /// What the peer has sent since its request, which should be next to nothing.
    received: u32,
    /// The peer has sent its last byte.
    ended: bool,
}

impl TlsSink {
    /// Makes `socket` ready to be written by a worker, through `tls`, whose handshake is over.
    pub(crate) fn new(socket: TcpStream, mut tls: ServerConnection) -> io::Result<Self> {
        sys::prepare(&socket, UNSENT_BYTES_MAX)?;
        tls.set_buffer_limit(Some(SEALED_BYTES_MAX));
        Ok(Self(Box::new(Parts { socket, tls, received: 0, ended: false })))
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.0.socket
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, CloseReason> {
        let mut taken = 0;
        while self.flush()? && taken < bytes.len() {
            let sealed = self.0.tls.writer().write(&bytes[taken..]);
            taken += sealed.map_err(|_| CloseReason::PeerReset)?;
        }
        Ok(taken)
    }

    /// Sends what is sealed; says whether all of it is out.
    pub(crate) fn flush(&mut self) -> Result<bool, CloseReason> {
        while self.0.tls.wants_write() {
            let Parts { socket, tls, .. } = &mut *self.0;
            match tls.write_tls(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(self.broken()),
            }
        }
        Ok(true)
    }

    /// Takes what the peer sent. Answers what TLS itself asks (a change of keys), throws the rest
    /// away. A peer that has ended its side, by TLS or by TCP alone, may still listen.
    pub(crate) fn drain(&mut self) -> Result<Heard, CloseReason> {
        let known = self.0.ended;
        let mut scratch = [0; 4096];
        loop {
            let Parts { socket, tls, received, ended } = &mut *self.0;
            match tls.read_tls(socket) {
                Ok(0) => {
                    *ended = true;
                    break;
                }
                Ok(n) => *received = received.saturating_add(n as u32),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(self.broken()),
            }
            let state = tls.process_new_packets();
            let closed = state.map_err(|_| CloseReason::PeerReset)?.peer_has_closed();
            while tls.reader().read(&mut scratch).is_ok_and(|n| n > 0) {}
            if closed {
                // Up to TLS 1.2 that closes both sides (RFC 5246 §7.2.1).
                if tls.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
                    return Err(CloseReason::PeerClosed);
                }
                *ended = true;
                break;
            }
            if *received > PEER_BYTES_MAX {
                return Err(CloseReason::PeerReset);
            }
        }
        self.flush()?;
        Ok(if self.0.ended && !known { Heard::End } else { Heard::Nothing })
    }

    /// As with a plain connection: a reset after the peer's end is its close.
    pub(crate) fn broken(&self) -> CloseReason {
        if self.0.ended { CloseReason::PeerClosed } else { CloseReason::PeerReset }
    }

    pub(crate) fn finish(mut self, farewell: Option<&Farewell>) {
        if let Some(farewell) = farewell {
            // What does not fit at once is lost: the peer sees a broken stream and comes back.
            if self.write(&farewell.bytes) == Ok(farewell.bytes.len()) {
                // A stream that ends without this was cut off (RFC 8446 §6.1).
                self.0.tls.send_close_notify();
                let _ = self.flush();
            }
            let _ = self.0.socket.shutdown(Shutdown::Write);
        }
    }

    pub(crate) fn has_vanished(&self, patience: Duration) -> bool {
        sys::has_vanished(&self.0.socket, patience).unwrap_or(false)
    }
}
