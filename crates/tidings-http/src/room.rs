//! Room for connections: as many as the configuration says, and a few more for probes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::RESERVE_CONNECTIONS;

/// Room for the connections of all listeners.
pub(crate) struct Room {
    connections_max: usize,
    regular: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
}

/// The seat of a connection, taken until it is dropped.
pub(crate) enum Seat {
    /// It is served.
    Regular(OwnedSemaphorePermit),
    /// The regular seats are taken: only probes are answered, and not for long.
    Reserve(OwnedSemaphorePermit),
}

impl Room {
    pub(crate) fn new(connections_max: usize) -> Self {
        let connections_max = connections_max.min(u32::MAX as usize).min(Semaphore::MAX_PERMITS);
        Self {
            connections_max,
            regular: Arc::new(Semaphore::new(connections_max)),
            reserve: Arc::new(Semaphore::new(RESERVE_CONNECTIONS)),
        }
    }

    /// Waits until there is any room, without taking it: a listener that waits for a connection
    /// holds no seat.
    pub(crate) async fn wait(&self) {
        if self.regular.available_permits() + self.reserve.available_permits() == 0 {
            self.enter().await;
        }
    }

    /// Takes a seat: a regular one if there is one now, else whichever comes first.
    pub(crate) async fn enter(&self) -> Seat {
        let regular = Arc::clone(&self.regular).acquire_owned();
        let reserve = Arc::clone(&self.reserve).acquire_owned();
        tokio::select! {
            biased;
            Ok(permit) = regular => Seat::Regular(permit),
            Ok(permit) = reserve => Seat::Reserve(permit),
            else => unreachable!("the semaphores are never closed"),
        }
    }

    /// Waits until all connections have ended.
    pub(crate) async fn emptied(&self) {
        let all = self.connections_max as u32;
        let _regular = self.regular.acquire_many(all).await;
        let _reserve = self.reserve.acquire_many(RESERVE_CONNECTIONS as u32).await;
    }

    /// Number of open connections.
    pub(crate) fn connections(&self) -> usize {
        self.connections_max + RESERVE_CONNECTIONS
            - self.regular.available_permits()
            - self.reserve.available_permits()
    }
}
