//! The limit of open files, and so sockets, and how the hub divides it.

use std::fmt;

use tidings_server::limits::{CONNECTIONS_MAX, RESERVE_CONNECTIONS};

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_config::HubConfig;
use crate::{stores, threads};

/// The uses of a hub's open files. Together they are no more than the process may have, so
/// that a client above one of the limits can still get an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenFiles {
    pub(crate) limit: usize,
    pub(crate) subscribers: usize,
    pub(crate) connections: usize,
    /// The rest: the history, addresses, threads, and a reserve.
    other: usize,
    /// A subscriber is one of the connections, and has no file of its own.
    shared: bool,
}

/// Whether an HTTP/1.1 subscriber leaves the connections on which requests are read.
fn subscribers_take_sockets(hub: &HubConfig) -> bool {
    cfg!(target_os = "linux") && !hub.engine.portable
}

impl OpenFiles {
    /// Divides `limit` as `hub` says; what it leaves open gets what is left.
    ///
    /// # Errors
    ///
    /// It is not enough.
    pub(crate) fn divide(hub: &HubConfig, limit: usize) -> Result<Self, CliError> {
        let files = Self::share_out(hub, limit);
        if files.is_enough() { Ok(files) } else { Err(files.too_many(hub)) }
    }

    /// The same, and whether it is enough is another question.
    pub(crate) fn share_out(hub: &HubConfig, limit: usize) -> Self {
        let workers = hub.runtime.workers;
        let threads = workers + threads::request_threads(workers) + hub.engine.shards;
        let addresses = hub.server.http.listen.len() + hub.server.http.redirect.len();
        // Each address has a connection that waits for room, too.
        let other = stores::files_max(&hub.store)
            + 2 * addresses
            + FILES_PER_THREAD * threads
            + RESERVE_CONNECTIONS
            + SPARE_FILES;
        let left = limit.saturating_sub(other);
        if !subscribers_take_sockets(hub) {
            let connections = hub.runtime.connections_max.unwrap_or(left.clamp(1, CONNECTIONS_MAX));
            let subscribers = hub.runtime.subscribers_max.unwrap_or(left.max(1));
            return Self { limit, subscribers, connections, other, shared: true };
        }
        let of_connections = |files: usize| files.clamp(1, CONNECTIONS_MAX);
        let (subscribers, connections) =
            match (hub.runtime.subscribers_max, hub.runtime.connections_max) {
                (Some(subscribers), None) => {
                    (subscribers, of_connections(left.saturating_sub(subscribers)))
                }
                (subscribers, connections) => {
                    let connections =
                        connections.unwrap_or_else(|| of_connections(left / CONNECTIONS_SHARE));
                    let rest = left.saturating_sub(connections).max(1);
                    (subscribers.unwrap_or(rest), connections)
                }
            };
        Self { limit, subscribers, connections, other, shared: false }
    }

    pub(crate) fn is_enough(&self) -> bool {
        self.needed() <= self.limit
    }

    fn needed(&self) -> usize {
        let subscribers = if self.shared { 0 } else { self.subscribers };
        subscribers.saturating_add(self.connections).saturating_add(self.other)
    }

    fn too_many(&self, hub: &HubConfig) -> CliError {
        let needed = self.needed();
        let message = format!("the hub may have {} files open, and needs {self}", self.limit);
        let lower = match (hub.runtime.subscribers_max, hub.runtime.connections_max) {
            (None, None) => "",
            (Some(_), None) => ", or lower max-subscribers",
            (None, Some(_)) => ", or lower max-connections",
            (Some(_), Some(_)) => ", or lower max-subscribers or max-connections",
        };
        let hint = format!("raise the limit to {needed} (`ulimit -n`, `LimitNOFILE=`){lower}");
        CliError::new(ExitCode::CannotStart, message).hint(hint)
    }
}

impl fmt::Display for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subscribers, connections, other, .. } = self;
        write!(f, "{}: ", self.needed())?;
        if !self.shared {
            write!(f, "{subscribers} for subscribers (max-subscribers), ")?;
        }
        write!(f, "{connections} for connections (max-connections), {other} for itself")
    }
}

/// Unless the settings say otherwise, connections on which requests are read get this part of what
/// is left, and subscribers the rest: a subscriber is one for a moment only.
const CONNECTIONS_SHARE: usize = 4;

/// Descriptors by which each thread is woken: an epoll and an event descriptor.
const FILES_PER_THREAD: usize = 2;

/// Files besides: the standard streams, the runtime, signals, a key set or a certificate that is
/// read, an upstream, a profile.
const SPARE_FILES: usize = 24;

/// Raises the limit of this process as far as it may be. Returns what it is then.
#[cfg(unix)]
pub(crate) fn raise_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { mut current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        current = maximum;
    }
    let files = current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    files.min(FILES_MAX)
}

#[cfg(not(unix))]
pub(crate) fn raise_limit() -> usize {
    FILES_MAX
}

/// More than one process serves well.
const FILES_MAX: usize = 1 << 20;
