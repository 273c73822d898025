//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tidings_engine::Rejection;
use tokio::net::{TcpListener, TcpStream};

use crate::connection;
use crate::error::BindError;
use crate::limits::{ACCEPT_PAUSE, BACKLOG, RESERVE_TIME_MAX};
use crate::room::Seat;
use crate::shared::Shared;
use crate::visit::{Door, Visit};

/// An address that is listened on.
pub(crate) struct Listener {
    socket: std::net::TcpListener,
    address: SocketAddr,
    door: Door,
}

impl Listener {
    /// Binds `address`, one of `all`.
    pub(crate) fn bind(
        address: SocketAddr,
        all: &[SocketAddr],
        door: Door,
    ) -> Result<Self, BindError> {
        let failed = |error| BindError::Listen { address, error };
        let socket = listening_socket(address, all).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, door })
    }

    /// Takes over a socket that is bound to `address`, and listens.
    pub(crate) fn adopt(
        socket: std::net::TcpListener,
        address: SocketAddr,
        door: Door,
    ) -> Result<Self, BindError> {
        prepare(&socket2::SockRef::from(&socket));
        let adopted = socket.set_nonblocking(true);
        adopted.map_err(|error| BindError::Listen { address, error })?;
        Ok(Self { socket, address, door })
    }

    /// With the port that the system chose.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Enters the runtime.
    pub(crate) fn start(self) -> io::Result<Accepting> {
        let listener = TcpListener::from_std(self.socket)?;
        Ok(Accepting { listener, door: self.door })
    }
}

/// A listener that runs.
pub(crate) struct Accepting {
    listener: TcpListener,
    door: Door,
}

impl Accepting {
    /// Accepts for ever. What goes wrong with one connection is that connection's; what goes wrong
    /// with all (descriptors or memory run out) passes, so it waits a little and tries again.
    pub(crate) async fn run(self, shared: Shared) {
        let mut pause = ACCEPT_PAUSE.0;
        loop {
            shared.room.wait().await;
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    pause = ACCEPT_PAUSE.0;
                    let Some(visit) = Visit::begin(peer, &shared.state) else { continue };
                    let seat = shared.room.enter().await;
                    tokio::spawn(serve(stream, visit, seat, self.door.clone(), shared.clone()));
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

/// Serves a connection to its end; on a seat of the reserve, for a moment.
async fn serve(stream: TcpStream, mut visit: Visit, seat: Seat, door: Door, shared: Shared) {
    match seat {
        Seat::Regular(permit) => {
            connection::serve(stream, visit, door, shared).await;
            drop(permit);
        }
        Seat::Reserve(permit) => {
            visit.excess.get_or_insert(Rejection::HubConnections);
            let served = Box::pin(connection::serve(stream, visit, door, shared));
            let _ = tokio::time::timeout(RESERVE_TIME_MAX, served).await;
            drop(permit);
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
    // A restarted server need not wait for the connections of the one before to be forgotten.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    // `[::]` takes IPv4 too, unless somebody asked for that by name.
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

/// Sets what connections inherit from the socket that accepts them, so that it need not be said for
/// each. A socket that refuses an option is still a socket.
fn prepare(socket: &Socket) {
    // An answer is written at once and must leave at once.
    if let Err(error) = socket.set_tcp_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was not set");
    }
    // A publisher's stream may be silent for an hour; a peer that is gone should not be waited for
    // so long.
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    if let Err(error) = socket.set_tcp_keepalive(&keepalive) {
        tracing::debug!(%error, "TCP keep-alive was not set");
    }
}

/// Silence after which TCP asks whether the peer is there.
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
    fn a_connection_inherits_what_the_listener_was_told() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = listening_socket(address, &[address]).unwrap();
        let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let (stream, _) = listener.accept().unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(socket2::SockRef::from(&stream).keepalive().unwrap());
    }
}
