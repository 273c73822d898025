//! A connection that was let in, before anything is spoken on it.

use std::net::{IpAddr, SocketAddr};

use tidings_engine::Rejection;
use tokio_rustls::TlsAcceptor;

use crate::limiter::Place;
use crate::quota::Entrance;
use crate::state::State;

/// Who is connected, and how.
pub(crate) struct Visit {
    pub(crate) peer: IpAddr,
    pub(crate) is_secure: bool,
    /// It is one connection too many: every request is told so.
    pub(crate) excess: Option<Rejection>,
    /// Every request is sent to this port, where TLS is spoken.
    pub(crate) redirect: Option<u16>,
    /// Counts the connection until it is dropped.
    pub(crate) place: Option<Place>,
}

impl Visit {
    /// Lets in who has connected, or does not. Before anything is spent on the connection.
    pub(crate) fn begin(peer: SocketAddr, state: &State) -> Option<Self> {
        let peer = peer.ip().to_canonical();
        let entrance = match state.config().trusted_proxies.contains(peer) {
            true => Entrance::Open(None),
            false => state.quotas().enter(peer),
        };
        let (place, excess) = match entrance {
            Entrance::Open(place) => (place, None),
            Entrance::Excess(place) => (Some(place), Some(Rejection::AddressConnections)),
            Entrance::Shut => {
                let reason = Rejection::AddressConnections.name();
                tracing::debug!(%peer, reason, "a connection was refused");
                return None;
            }
        };
        Some(Self { peer, is_secure: false, excess, redirect: None, place })
    }
}

/// What is spoken behind an address.
#[derive(Clone)]
pub(crate) enum Door {
    /// HTTP in the clear.
    Plain,
    /// HTTP under TLS.
    Tls(TlsAcceptor),
    /// HTTP in the clear, by which everybody is sent to this port.
    Redirect { port: u16 },
}
