//! A poller without sockets: a bell and a timeout.

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Event;

/// Whether workers can own sockets here.
pub(crate) const SOCKETS: bool = false;

/// Sleeps until its bell is rung.
pub(crate) struct Poller {
    bell: Bell,
}

/// Wakes the [`Poller`] it belongs to, from any thread.
#[derive(Clone, Default)]
pub(crate) struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { bell: Bell::default() })
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    pub(crate) fn add(&self, _socket: &TcpStream, _token: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        _happened: &mut Vec<Event>,
    ) -> io::Result<()> {
        let (rung, heard) = &*self.bell.0;
        let guard = rung.lock().unwrap_or_else(PoisonError::into_inner);
        let timeout = timeout.unwrap_or(Duration::MAX);
        let waited = heard.wait_timeout_while(guard, timeout, |rung| !*rung);
        let (mut guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *guard = false;
        Ok(())
    }
}

impl Bell {
    pub(crate) fn ring(&self) {
        let (rung, heard) = &*self.0;
        *rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        heard.notify_one();
    }
}

pub(crate) fn prepare(_socket: &TcpStream, _unsent_bytes_max: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn has_vanished(_socket: &TcpStream, _patience: Duration) -> io::Result<bool> {
    Ok(false)
}
