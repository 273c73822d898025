//! Yielding to other threads when that makes this thread's own work cheaper.
//!
//! Publishes are taken, stored and answered by other threads than those that deliver. Where there
//! are fewer cores than threads with something to do, a worker that writes to a thousand
//! subscribers keeps its core for a whole time slice, some milliseconds, and a publish waits. But a
//! delivery that waits gets cheaper, because it includes what was published meanwhile, and a
//! publish that waits does not. So while frames come for the very group it is writing to
//! ([`Shard::has_newer_frames`](tidings_hub::Shard::has_newer_frames)), a worker offers its core to
//! any thread that waits for one; if none does, that costs a system call.
//!
//! A scheduler takes such an offer for a whole time slice. Beside programs that never stop, every
//! offer would cost milliseconds, so what is given away is bounded. Figures:
//! `docs/decisions/0005-delivering-gives-way.md`.

use std::time::{Duration, Instant};

use crate::limits::{CPU_YIELD_MAX, CPU_YIELD_WINDOW};

/// The time that a worker has given away lately.
pub(super) struct CpuYield {
    window: Instant,
    given: Duration,
}

impl CpuYield {
    pub(super) fn new() -> Self {
        Self { window: Instant::now(), given: Duration::ZERO }
    }

    /// Yields to other threads, if that has not cost too much lately.
    pub(super) fn maybe_yield(&mut self) {
        let began = Instant::now();
        if began - self.window >= CPU_YIELD_WINDOW {
            (self.window, self.given) = (began, Duration::ZERO);
        }
        if self.given < CPU_YIELD_MAX {
            std::thread::yield_now();
            self.given += began.elapsed();
        }
    }
}
