//! A TCP proxy that cuts, pauses and slows what passes, each direction by itself: a partition of
//! the network that needs no rights on the network.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Bytes that one direction of a connection takes from its source at a time.
const PIECE_BYTES: usize = 16 << 10;

/// A slow direction passes this many pieces in a second.
const SLOW_PIECES_PER_SECOND: u32 = 50;

/// Connections at a time. At the edge: further ones are closed at once.
const CONNECTIONS_MAX: usize = 1024;

/// Time that the target has to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// A proxy to one target, until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// One of the two ways through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the client sends.
    ToTarget,
    /// What the target answers.
    ToClient,
}

/// What a direction does with bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// It passes them.
    #[default]
    Free,
    /// It holds them back. Connections stay, new ones too: neither side notices, as when a
    /// cable is pulled.
    Paused,
    /// It passes this many in a second, for each connection.
    Slow {
        /// Bytes per second.
        bytes_per_second: u32,
    },
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    to_target: Flow,
    to_client: Flow,
    /// Whether connections are closed as soon as they are made.
    is_cut: bool,
    is_closing: bool,
    /// Number of the last connection.
    number: u64,
    /// Both ends of each connection.
    connections: HashMap<u64, [TcpStream; 2]>,
}

impl Proxy {
    /// Starts a proxy to `target` on a port of its own.
    ///
    /// # Errors
    ///
    /// If there is no port or no thread for it.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((target.ip(), 0))?;
        let address = listener.local_addr()?;
        let state = Mutex::default();
        let shared = Arc::new(Shared { target, state, changed: Condvar::new() });
        let accepting = {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name("proxy".to_owned());
            Some(thread.spawn(move || shared.accept(&listener))?)
        };
        Ok(Self { address, shared, accepting })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what `direction` does, for all connections.
    pub fn set(&self, direction: Direction, flow: Flow) {
        let mut state = self.shared.lock();
        match direction {
            Direction::ToTarget => state.to_target = flow,
            Direction::ToClient => state.to_client = flow,
        }
        self.shared.changed.notify_all();
    }

    /// Changes what both directions do.
    pub fn set_both(&self, flow: Flow) {
        self.set(Direction::ToTarget, flow);
        self.set(Direction::ToClient, flow);
    }

    /// Closes all connections, and new ones as soon as they are made, until [`mend`](Self::mend).
    pub fn cut(&self) {
        let mut state = self.shared.lock();
        state.is_cut = true;
        state.close_all();
        self.shared.changed.notify_all();
    }

    /// Passes everything again.
    pub fn mend(&self) {
        self.shared.lock().is_cut = false;
        self.set_both(Flow::Free);
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.is_closing = true;
            state.close_all();
            self.shared.changed.notify_all();
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect_timeout(&self.address, CONNECT_PATIENCE);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl State {
    fn close_all(&mut self) {
        for (_, ends) in self.connections.drain() {
            for end in ends {
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    }

    fn flow(&self, direction: Direction) -> Flow {
        match direction {
            Direction::ToTarget => self.to_target,
            Direction::ToClient => self.to_client,
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            {
                let state = self.lock();
                if state.is_closing {
                    return;
                }
                if state.is_cut || state.connections.len() >= CONNECTIONS_MAX {
                    continue;
                }
            }
            if let Ok(client) = client {
                let shared = Arc::clone(self);
                thread::spawn(move || shared.serve(client));
            }
        }
    }

    /// Passes the bytes of one connection both ways until it ends.
    fn serve(self: &Arc<Self>, client: TcpStream) {
        let Ok(target) = TcpStream::connect_timeout(&self.target, CONNECT_PATIENCE) else { return };
        let Ok(number) = self.register(&client, &target) else { return };
        let answers = {
            let (shared, client, target) =
                (Arc::clone(self), client.try_clone(), target.try_clone());
            let (Ok(client), Ok(target)) = (client, target) else { return self.forget(number) };
            thread::spawn(move || shared.pass(number, Direction::ToClient, target, client))
        };
        self.pass(number, Direction::ToTarget, client, target);
        let _ = answers.join();
        self.forget(number);
    }

    fn register(&self, client: &TcpStream, target: &TcpStream) -> io::Result<u64> {
        client.set_nodelay(true)?;
        target.set_nodelay(true)?;
        let ends = [client.try_clone()?, target.try_clone()?];
        let mut state = self.lock();
        // It may have been cut while the target was connected.
        if state.is_cut || state.is_closing {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        state.number += 1;
        let number = state.number;
        state.connections.insert(number, ends);
        Ok(number)
    }

    fn forget(&self, number: u64) {
        self.lock().connections.remove(&number);
    }

    /// Passes one direction until its source ends, and then ends its destination; if either fails,
    /// both are closed.
    fn pass(&self, number: u64, direction: Direction, mut from: TcpStream, mut to: TcpStream) {
        let passed = self.try_pass(number, direction, &mut from, &mut to);
        if passed.and_then(|()| to.shutdown(Shutdown::Write)).is_err() {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        }
    }

    fn try_pass(
        &self,
        number: u64,
        direction: Direction,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> io::Result<()> {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = from.read(&mut piece)?;
            let mut rest = &piece[..read];
            // The end waits its turn, too.
            let mut flow = self.wait_to_pass(number, direction)?;
            if rest.is_empty() {
                return Ok(());
            }
            while !rest.is_empty() {
                let count = match flow {
                    Flow::Slow { bytes_per_second } => {
                        let count = (bytes_per_second / SLOW_PIECES_PER_SECOND).max(1);
                        let share = f64::from(count) / f64::from(bytes_per_second.max(1));
                        thread::sleep(Duration::from_secs_f64(share));
                        rest.len().min(count as usize)
                    }
                    Flow::Free | Flow::Paused => rest.len(),
                };
                to.write_all(&rest[..count])?;
                rest = &rest[count..];
                flow = self.wait_to_pass(number, direction)?;
            }
        }
    }

    /// Waits until `direction` passes bytes, and returns how. Fails when the connection was closed.
    fn wait_to_pass(&self, number: u64, direction: Direction) -> io::Result<Flow> {
        let mut state = self.lock();
        while state.connections.contains_key(&number) {
            match state.flow(direction) {
                Flow::Paused => {
                    let waited = self.changed.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
                flow => return Ok(flow),
            }
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
