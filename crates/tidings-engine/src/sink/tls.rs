use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustls::ServerConnection;
use tidings_hub::CloseReason;

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
}

impl TlsSink {
    /// Makes `socket` ready to be written by a worker, through `tls`, whose handshake is over.
    pub(crate) fn new(socket: TcpStream, mut tls: ServerConnection) -> io::Result<Self> {
        sys::prepare(&socket, UNSENT_BYTES_MAX)?;
        tls.set_buffer_limit(Some(SEALED_BYTES_MAX));
        Ok(Self(Box::new(Parts { socket, tls, received: 0 })))
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
        let Parts { socket, tls, .. } = &mut *self.0;
        while tls.wants_write() {
            match tls.write_tls(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(CloseReason::PeerReset),
            }
        }
        Ok(true)
    }

    /// Takes what the peer sent. Answers what TLS itself asks (a change of keys), throws the rest
    /// away, and finds out when the peer closes.
    pub(crate) fn drain(&mut self) -> Result<(), CloseReason> {
        let mut scratch = [0; 4096];
        loop {
            let Parts { socket, tls, received } = &mut *self.0;
            match tls.read_tls(socket) {
                Ok(0) => return Err(CloseReason::PeerClosed),
                Ok(n) => *received = received.saturating_add(n as u32),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(CloseReason::PeerReset),
            }
            let state = tls.process_new_packets();
            let closed = state.map_err(|_| CloseReason::PeerReset)?.peer_has_closed();
            while tls.reader().read(&mut scratch).is_ok_and(|n| n > 0) {}
            if closed {
                return Err(CloseReason::PeerClosed);
            }
            if *received > PEER_BYTES_MAX {
                return Err(CloseReason::PeerReset);
            }
        }
        self.flush().map(|_| ())
    }

    pub(crate) fn finish(mut self, farewell: Option<&[u8]>) {
        if let Some(farewell) = farewell {
            // What does not fit at once is lost: the peer sees a broken stream and comes back.
            if self.write(farewell) == Ok(farewell.len()) {
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
