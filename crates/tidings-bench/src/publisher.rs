use std::collections::VecDeque;
use std::io::{self, Read, Write};

use mio::net::TcpStream;

use crate::body::Body;
use crate::head;
use crate::limits::HEAD_BYTES_MAX;

/// One keep-alive connection that publishes: requests go in, answers come out in the same order.
#[derive(Default)]
pub(crate) struct Publisher {
    stream: Option<TcpStream>,
    /// Whether the handshake is done, as far as we know.
    writable: bool,
    out: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    /// The response being read: its status, the rest of its body, and whether the connection ends
    /// with it.
    response: Option<(u16, Body, bool)>,
    /// Requests in flight, oldest first.
    flights: VecDeque<Flight>,
    /// Number of its events that have been sent, or attempted.
    pub(crate) next: u64,
    /// Earliest time at which it may reconnect.
    pub(crate) rests_until_ns: u64,
}

/// A request in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    /// Its first event, and its number of events.
    pub(crate) first: u64,
    pub(crate) events: u64,
    pub(crate) intended_ns: u64,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) flight: Flight,
    pub(crate) status: u16,
}

impl Publisher {
    pub(crate) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    pub(crate) fn stream(&mut self) -> Option<&mut TcpStream> {
        self.stream.as_mut()
    }

    pub(crate) fn connected(&mut self, stream: TcpStream) -> &mut TcpStream {
        // Otherwise Nagle's algorithm would delay small requests, and be measured.
        let _ = stream.set_nodelay(true);
        self.writable = false;
        self.stream.insert(stream)
    }

    /// Queues a request, which `write` appends.
    pub(crate) fn ask(&mut self, flight: Flight, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.out);
        self.flights.push_back(flight);
    }

    /// Notes that the socket is writable, for the first time or again.
    pub(crate) fn writable(&mut self) {
        self.writable = true;
    }

    /// Writes what can be written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while self.writable && self.written < self.out.len() {
            match stream.write(&self.out[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        Ok(())
    }

    /// Reads what has arrived and passes each answer to `answered`.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        answered: &mut impl FnMut(Answer),
    ) -> io::Result<()> {
        loop {
            let Some(stream) = &mut self.stream else { return Ok(()) };
            match stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => {
                    self.input.extend_from_slice(&buffer[..bytes]);
                    self.answers(answered)?;
                    if bytes < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn answers(&mut self, answered: &mut impl FnMut(Answer)) -> io::Result<()> {
        let garbled = || io::Error::from(io::ErrorKind::InvalidData);
        let mut at = 0;
        let mut close = false;
        loop {
            if self.response.is_none() {
                let Some(end) = head::end(&self.input[at..]) else { break };
                let head = head::parse(&self.input[at..at + end]).ok_or_else(garbled)?;
                at += end;
                if head.status < 200 {
                    continue; // 100 Continue and the like precede the answer
                }
                self.response = Some((head.status, head.body, head.close));
            }
            let Some((status, body, closes)) = &mut self.response else { break };
            let mut rest = &self.input[at..];
            while !rest.is_empty() && *body != Body::Ended {
                body.take(&mut rest).map_err(|_| garbled())?;
            }
            at = self.input.len() - rest.len();
            if *body != Body::Ended {
                break;
            }
            let (status, closes) = (*status, *closes);
            self.response = None;
            let flight = self.flights.pop_front().ok_or_else(garbled)?;
            answered(Answer { flight, status });
            close |= closes;
        }
        self.input.drain(..at);
        if close || self.input.len() > HEAD_BYTES_MAX {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// Drops the connection; requests in flight have an unknown fate.
    pub(crate) fn disconnect(&mut self) -> impl Iterator<Item = Flight> + use<> {
        self.stream = None;
        self.writable = false;
        self.out.clear();
        self.written = 0;
        self.input.clear();
        self.response = None;
        std::mem::take(&mut self.flights).into_iter()
    }
}
