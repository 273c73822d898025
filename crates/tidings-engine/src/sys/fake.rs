//! A poller for tests: what a sleep does is up to the test.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use super::{Event, SocketEvents};

/// What happens in a sleep of at most the given time.
type Sleep = dyn FnMut(Option<Duration>, &mut Vec<Event>) -> io::Result<()> + Send;

/// Watches no socket: it refuses to.
pub(crate) struct FakePoller(Box<Sleep>);

impl FakePoller {
    pub(crate) fn new(
        sleep: impl FnMut(Option<Duration>, &mut Vec<Event>) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self(Box::new(sleep))
    }
}

impl SocketEvents for FakePoller {
    fn add(&self, _socket: &TcpStream, _token: u64) -> io::Result<()> {
        Err(io::Error::other("no room for another socket"))
    }

    fn wait(&mut self, timeout: Option<Duration>, happened: &mut Vec<Event>) -> io::Result<()> {
        (self.0)(timeout, happened)
    }
}
