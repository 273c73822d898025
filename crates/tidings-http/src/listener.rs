//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tidings_engine::Rejection;
use tokio::net::{TcpListener, TcpStream};

use crate::accepted::{Accepted, ListenerKind};
use crate::connection;
use crate::error::BindError;
use crate::limits::{ACCEPT_PAUSE, BACKLOG, RESERVE_TIME_MAX};
use crate::room::Seat;
use crate::shared::Shared;

/// A bound address that is listened on.
pub(crate) struct Listener {
    socket: std::net::TcpListener,
    address: SocketAddr,
    kind: ListenerKind,
}

impl Listener {
    /// Binds `address`, one of `all`.
    pub(crate) fn bind(
        address: SocketAddr,
        all: &[SocketAddr],
        kind: ListenerKind,
    ) -> Result<Self, BindError> {
        let failed = |error| BindError::Listen { address, error };
        let socket = listening_socket(address, all).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, kind })
    }

    /// Takes over a socket that is bound to `address`, and listens.
    pub(crate) fn adopt(
        socket: std::net::TcpListener,
        address: SocketAddr,
        kind: ListenerKind,
    ) -> Result<Self, BindError> {
        prepare(&socket2::SockRef::from(&socket));
        let adopted = socket.set_nonblocking(true);
        adopted.map_err(|error| BindError::Listen { address, error })?;
        Ok(Self { socket, address, kind })
    }

    /// The address, with the port that the system chose.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Registers it with the runtime.
    pub(crate) fn start(self) -> io::Result<Accepting> {
        let listener = TcpListener::from_std(self.socket)?;
        Ok(Accepting { listener, kind: self.kind })
    }
}

/// A running listener.
pub(crate) struct Accepting {
    listener: TcpListener,
    kind: ListenerKind,
}

impl Accepting {
    /// Accepts connections forever. An error of one connection concerns only that one; an error of
    /// all (descriptors or memory run out) is temporary, so it waits a little and tries again.
    pub(crate) async fn run(self, shared: Shared) {
        let mut pause = ACCEPT_PAUSE.0;
        loop {
            shared.room.wait().await;
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    pause = ACCEPT_PAUSE.0;
                    let Some(accepted) = Accepted::begin(peer, &shared.state) else { continue };
                    let seat = shared.room.enter().await;
                    tokio::spawn(serve(stream, accepted, seat, self.kind.clone(), shared.clone()));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, ?pause, "cannot accept connections now");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE.1);
                }
            }
        }
    }
}

/// Serves a connection until it ends; on a reserve seat, only for a moment.
async fn serve(
    stream: TcpStream,
    mut accepted: Accepted,
    seat: Seat,
    kind: ListenerKind,
    shared: Shared,
) {
    match seat {
        Seat::Regular(permit) => {
            accepted.seat = Some(permit);
            connection::serve(stream, accepted, kind, shared).await;
        }
        Seat::Reserve(permit) => {
            accepted.seat = Some(permit);
            accepted.excess.get_or_insert(Rejection::HubConnections);
            // Not worth a move.
            let shared = Shared { threads: None, ..shared };
            let served = Box::pin(connection::serve(stream, accepted, kind, shared));
            let _ = tokio::time::timeout(RESERVE_TIME_MAX, served).await;
        }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

fn listening_socket(address: SocketAddr, all: &[SocketAddr]) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted server need not wait until the system forgets the connections of its predecessor.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    // `[::]` accepts IPv4 too, unless an IPv4 address with the same port is configured.
    let v4_too = all.iter().any(|other| other.is_ipv4() && other.port() == address.port());
    if address.is_ipv6() && v4_too {
        socket.set_only_v6(true)?;
    }
    prepare(&socket);
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Sets the options that connections inherit from the listening socket, so that they need not be
/// set for each. A socket that rejects an option still works.
fn prepare(socket: &Socket) {
    // An answer is written as a whole and should be sent at once.
    if let Err(error) = socket.set_tcp_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was not set");
    }
    // A publisher's stream may be silent for an hour; a peer that is gone should be noticed sooner.
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    if let Err(error) = socket.set_tcp_keepalive(&keepalive) {
        tracing::debug!(%error, "TCP keep-alive was not set");
    }
}

/// Idle time after which TCP probes the peer.
const KEEPALIVE: Duration = Duration::from_secs(60);

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_connection_inherits_the_options_of_its_listener() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = listening_socket(address, &[address]).unwrap();
        let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let (stream, _) = listener.accept().unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(socket2::SockRef::from(&stream).keepalive().unwrap());
    }
}
