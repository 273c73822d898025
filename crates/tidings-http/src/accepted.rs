//! A connection that was admitted, before its first byte.

use std::net::{IpAddr, SocketAddr};

use tidings_engine::Rejection;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;

use crate::concurrency_limit::Permit;
use crate::quota::Admission;
use crate::state::State;

/// An accepted connection, and how its requests are treated.
pub(crate) struct Accepted {
    pub(crate) peer: IpAddr,
    pub(crate) is_secure: bool,
    /// Why it exceeds a limit, if it does: every request is rejected for this reason.
    pub(crate) excess: Option<Rejection>,
    /// The port with TLS to which every request is redirected, if any.
    pub(crate) redirect: Option<u16>,
    /// Counts the connection until it is dropped.
    pub(crate) permit: Option<Permit>,
    /// Its seat among the connections on which requests are read, until it is dropped.
    pub(crate) seat: Option<OwnedSemaphorePermit>,
}

impl Accepted {
    /// Admits a new connection, or rejects it. Called before any work is done for it.
    pub(crate) fn begin(peer: SocketAddr, state: &State) -> Option<Self> {
        let peer = peer.ip().to_canonical();
        let admission = match state.config().trusted_proxies.contains(peer) {
            true => Admission::Open(None),
            false => state.quotas().admit(peer),
        };
        let (permit, excess) = match admission {
            Admission::Open(permit) => (permit, None),
            Admission::Excess(permit) => (Some(permit), Some(Rejection::AddressConnections)),
            Admission::Shut => {
                let reason = Rejection::AddressConnections.name();
                tracing::debug!(%peer, reason, "connection rejected");
                return None;
            }
        };
        Some(Self { peer, is_secure: false, excess, redirect: None, permit, seat: None })
    }
}

/// The protocol of a listening address.
#[derive(Clone)]
pub(crate) enum ListenerKind {
    /// HTTP in the clear.
    Plain,
    /// HTTP under TLS.
    Tls(TlsAcceptor),
    /// HTTP in the clear that redirects every request to this port.
    Redirect { port: u16 },
}
