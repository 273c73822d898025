//! Counters of the server: connections and rejections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tidings_engine::Rejection;

use crate::problem::Code;

/// Shared by all connections.
#[derive(Debug)]
pub struct Counts {
    open: [AtomicU64; PROTOCOLS.len()],
    accepted: [AtomicU64; PROTOCOLS.len()],
    refused: [AtomicU64; Code::ALL.len()],
    rejected: [AtomicU64; Rejection::ALL.len()],
}

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

const PROTOCOLS: [&str; 2] = ["http/1.1", "http/2"];

impl Default for Counts {
    fn default() -> Self {
        Self {
            open: Default::default(),
            accepted: Default::default(),
            refused: [const { AtomicU64::new(0) }; Code::ALL.len()],
            rejected: [const { AtomicU64::new(0) }; Rejection::ALL.len()],
        }
    }
}

impl Counts {
    /// Counts a connection until the returned guard is dropped.
    pub(crate) fn connection(self: &Arc<Self>, protocol: Protocol) -> Speaking {
        self.open[protocol as usize].fetch_add(1, Relaxed);
        self.accepted[protocol as usize].fetch_add(1, Relaxed);
        Speaking(Arc::clone(self), protocol)
    }

    /// Counts a rejected request.
    pub(crate) fn refused(&self, code: Code) {
        self.refused[code as usize].fetch_add(1, Relaxed);
    }

    /// Counts a subscriber that was asked to come back later.
    pub fn rejected(&self, reason: Rejection) {
        tracing::debug!(reason = reason.name(), "a subscriber was asked to come back later");
        self.rejected[reason as usize].fetch_add(1, Relaxed);
    }

    /// For each protocol: its name, open connections, and connections in total.
    pub fn connections(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let counts = self.open.iter().zip(&self.accepted);
        PROTOCOLS.iter().zip(counts).map(|(protocol, (open, accepted))| {
            (*protocol, open.load(Relaxed), accepted.load(Relaxed))
        })
    }

    /// Rejected requests, by the code of the problem.
    pub fn refusals(&self) -> impl Iterator<Item = (Code, u64)> {
        Code::ALL.iter().zip(&self.refused).map(|(code, count)| (*code, count.load(Relaxed)))
    }

    /// Subscribers that were asked to come back later, by reason.
    pub fn rejections(&self) -> impl Iterator<Item = (Rejection, u64)> {
        let all = Rejection::ALL.iter().zip(&self.rejected);
        all.map(|(reason, count)| (*reason, count.load(Relaxed)))
    }
}

/// An open HTTP connection, for as long as this exists.
#[derive(Debug)]
pub(crate) struct Speaking(Arc<Counts>, Protocol);

impl Drop for Speaking {
    fn drop(&mut self) {
        self.0.open[self.1 as usize].fetch_sub(1, Relaxed);
    }
}
