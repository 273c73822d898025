use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::limits::{KEEP_TICK, RUN_BYTES_PER_SECOND};
use crate::state::Shared;

use super::Keeper;

/// The thread that applies rules.
pub(crate) struct KeepThread {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl KeepThread {
    pub(crate) fn start(shared: &Arc<Shared>, keeper: &Arc<Mutex<Keeper>>) -> io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let (weak, keeper, stop) =
            (Arc::downgrade(shared), Arc::clone(keeper), Arc::clone(&stopping));
        let thread = std::thread::Builder::new()
            .name("tidings-keep".to_owned())
            .spawn(move || serve(&weak, &keeper, &stop))?;
        Ok(Self { stopping, thread: Some(thread) })
    }

    /// Gives up the job that is being done, and waits for the thread.
    pub(crate) fn stop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for KeepThread {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(shared: &Weak<Shared>, keeper: &Mutex<Keeper>, stopping: &AtomicBool) {
    let mut pace = Pace::default();
    while !stopping.load(Ordering::Acquire) {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let worked = keeper.step(&shared, &mut |bytes| {
            if stopping.load(Ordering::Acquire) || shared.is_erasing() {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "the job is given up"));
            }
            pace.wait(&shared, bytes, stopping);
            Ok(())
        });
        drop((keeper, shared));
        if !worked {
            std::thread::park_timeout(KEEP_TICK);
        }
    }
}

/// Holds the rate of writing to what leaves room for publishers.
struct Pace {
    /// Beginning of the interval in which `ingest` is measured.
    since: Instant,
    head_bytes: u64,
    bytes_per_second: u64,
    /// When the bytes written so far would be written at that rate.
    due: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        let now = Instant::now();
        Self { since: now, head_bytes: 0, bytes_per_second: RUN_BYTES_PER_SECOND, due: now }
    }
}

impl Pace {
    fn wait(&mut self, shared: &Shared, bytes: usize, stopping: &AtomicBool) {
        let now = Instant::now();
        if bytes == 0 {
            return;
        }
        self.measure(shared, now);
        let time = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        self.due = self.due.max(now) + time;
        // Publishers would have to wait soon.
        let hot_bytes = shared.read_state().hot_bytes();
        if hot_bytes > shared.config.hot_bytes().saturating_mul(2) {
            self.due = now;
        }
        while let Some(left) = self.due.checked_duration_since(Instant::now())
            && !left.is_zero()
            && !stopping.load(Ordering::Acquire)
            && !shared.is_erasing()
        {
            std::thread::park_timeout(left.min(KEEP_TICK));
        }
    }

    /// Twice what comes in, but not less than [`RUN_BYTES_PER_SECOND`].
    fn measure(&mut self, shared: &Shared, now: Instant) {
        let elapsed = now.duration_since(self.since);
        if elapsed < Duration::from_secs(1) {
            return;
        }
        let head_bytes = shared.appended_bytes();
        let ingest = (head_bytes - self.head_bytes) as f64 / elapsed.as_secs_f64();
        self.bytes_per_second = RUN_BYTES_PER_SECOND.max((ingest * 2.0) as u64);
        (self.since, self.head_bytes) = (now, head_bytes);
    }
}
