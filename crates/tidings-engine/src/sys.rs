//! Operating system services for workers; `unsafe` code and platform conditions are only here.
//!
//! A worker sleeps on a [`Poller`]: it wakes for a socket that can be read or written, for a
//! [`Bell`] that another thread rings, and for a timeout. On Linux it is epoll and an eventfd.
//! Elsewhere it has the bell and the timeout only: [`SOCKETS`] says so, and the engine then serves
//! HTTP/1.1 through response bodies as well.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

#[cfg(test)]
mod fake;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(not(target_os = "linux"), test))]
mod portable;

#[cfg(target_os = "linux")]
pub(crate) use linux::{Bell, Poller, SOCKETS, has_vanished, prepare};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{Bell, Poller, SOCKETS, has_vanished, prepare};

#[cfg(test)]
pub(crate) use fake::FakePoller;

/// What a mailbox needs of its [`Bell`], so that a test can be one.
pub(crate) trait Ring {
    /// Ends the sleep of the worker, or else its next one.
    fn ring(&self);
}

impl Ring for Bell {
    fn ring(&self) {
        Self::ring(self);
    }
}

/// What a worker needs of its [`Poller`], so that a test can be one.
pub(crate) trait SocketEvents {
    /// Reports on `socket` under `token` until it is closed.
    fn add(&self, socket: &TcpStream, token: u64) -> io::Result<()>;

    /// Sleeps for `timeout` at the most (`None`: for ever), and gives what happened to `happened`.
    fn wait(&mut self, timeout: Option<Duration>, happened: &mut Vec<Event>) -> io::Result<()>;
}

impl SocketEvents for Poller {
    fn add(&self, socket: &TcpStream, token: u64) -> io::Result<()> {
        Self::add(self, socket, token)
    }

    fn wait(&mut self, timeout: Option<Duration>, happened: &mut Vec<Event>) -> io::Result<()> {
        Self::wait(self, timeout, happened)
    }
}

/// What a [`Poller`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The token the socket was added with.
    pub(crate) token: u64,
    /// There is something to read: bytes, the end, or an error.
    pub(crate) readable: bool,
    /// There is room to write, or an error.
    pub(crate) writable: bool,
    /// Whether the peer reset the connection, so that neither side can be used any more.
    pub(crate) broken: bool,
}

#[cfg(test)]
mod tests;
