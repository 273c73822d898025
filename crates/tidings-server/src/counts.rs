//! What the server counts: connections, requests, refusals.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::StatusCode;

use crate::admin::exposition::Exposition;
use crate::admin::exposition::Kind::{Counter, Gauge};
use crate::problem::Code;
use crate::route_label::{LABELS, label_name};
use crate::turned_away::TurnedAway;

/// Shared by all connections.
#[derive(Debug)]
pub(crate) struct Counts {
    open: [AtomicU64; PROTOCOLS.len()],
    accepted: [AtomicU64; PROTOCOLS.len()],
    /// By route and by class of status.
    requests: [[AtomicU64; CLASSES.len()]; LABELS],
    refused: [AtomicU64; Code::ALL.len()],
    turned_away: [AtomicU64; TurnedAway::COUNT],
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

const PROTOCOLS: [&str; 2] = ["http/1.1", "http/2"];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Default for Counts {
    fn default() -> Self {
        Self {
            open: Default::default(),
            accepted: Default::default(),
            requests: [const { [const { AtomicU64::new(0) }; CLASSES.len()] }; LABELS],
            refused: [const { AtomicU64::new(0) }; Code::ALL.len()],
            turned_away: [const { AtomicU64::new(0) }; TurnedAway::COUNT],
        }
    }
}

impl Counts {
    /// A connection is there as long as what is returned.
    pub(crate) fn connection(self: &Arc<Self>, protocol: Protocol) -> Speaking {
        self.open[protocol as usize].fetch_add(1, Relaxed);
        self.accepted[protocol as usize].fetch_add(1, Relaxed);
        Speaking(Arc::clone(self), protocol)
    }

    /// A request for the route with this label was answered.
    pub(crate) fn answered(&self, label: usize, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.requests[label][class].fetch_add(1, Relaxed);
    }

    /// A request was refused.
    pub(crate) fn refused(&self, code: Code) {
        self.refused[code as usize].fetch_add(1, Relaxed);
    }

    /// A subscriber was asked to come back later.
    pub(crate) fn turned_away(&self, reason: TurnedAway) {
        tracing::debug!(reason = reason.name(), "a subscriber was asked to come back later");
        self.turned_away[reason.index()].fetch_add(1, Relaxed);
    }

    pub(crate) fn write(&self, page: &mut Exposition) {
        let help =
            "Connections that HTTP is spoken on; a subscriber's that was taken over is none.";
        page.family("tidings_connections", Gauge, help);
        for (protocol, count) in PROTOCOLS.iter().zip(&self.open) {
            page.sample(&[("protocol", protocol)], count.load(Relaxed) as f64);
        }
        let help = "Connections that HTTP was ever spoken on.";
        page.family("tidings_connections_total", Counter, help);
        for (protocol, count) in PROTOCOLS.iter().zip(&self.accepted) {
            page.sample(&[("protocol", protocol)], count.load(Relaxed) as f64);
        }
        let help = "Requests that were answered, by route and class of status.";
        page.family("tidings_requests_total", Counter, help);
        for (label, classes) in self.requests.iter().enumerate() {
            for (class, count) in CLASSES.iter().zip(classes) {
                let count = count.load(Relaxed);
                if count > 0 {
                    let labels = [("route", label_name(label)), ("status", *class)];
                    page.sample(&labels, count as f64);
                }
            }
        }
        let help = "Requests that were refused, by the code of the problem.";
        page.family("tidings_refusals_total", Counter, help);
        for (code, count) in Code::ALL.iter().zip(&self.refused) {
            page.sample(&[("code", code.name())], count.load(Relaxed) as f64);
        }
        let help = "Subscribers that were asked to come back later, by reason.";
        page.family("tidings_turned_away_total", Counter, help);
        for (reason, count) in TurnedAway::all().zip(&self.turned_away) {
            page.sample(&[("reason", reason.name())], count.load(Relaxed) as f64);
        }
    }
}

/// Somebody speaks HTTP as long as this exists.
#[derive(Debug)]
pub(crate) struct Speaking(Arc<Counts>, Protocol);

impl Drop for Speaking {
    fn drop(&mut self) {
        self.0.open[self.1 as usize].fetch_sub(1, Relaxed);
    }
}
